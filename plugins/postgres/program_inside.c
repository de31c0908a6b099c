#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cofre/plugin.h"
#include "common/docker/exec.h"
#include "common/docker/inside.h"
#include "postgres/namelist.h"
#include "postgres/program.h"

#define PIPE_BYTES (1 << 20)
#define TO_HOST "with tools = host the programs of this machine are used instead"

/* A passfile without a name, for a program that then takes our place: the first line of stdin goes into a new file,
 * that is open when its name goes. Nothing of it is left, whatever becomes of us, the daemon or the container's
 * processes. noclobber: nobody else can have put something there. */
static const char with_passfile[] =
    "IFS= read -r line || exit 1\n"
    "umask 077\n"
    "set -C\n"
    "for d in /dev/shm /tmp /var/tmp; do [ -d \"$d\" ] && [ -w \"$d\" ] && break; done\n"
    "printf '%s\\n' \"$line\" >\"$d/$0\" || exit 1\n"
    "exec 9<\"$d/$0\"\n"
    "rm -f \"$d/$0\"\n"
    "unset line\n"
    "exec \"$@\"\n";

/* The name is used for moments, and by nobody else. */
static bool add_shell(struct namelist *words)
{
    unsigned long long number = 0;
    return getentropy(&number, sizeof number) == 0 && namelist_print(words, "sh") && namelist_print(words, "-c") &&
           namelist_print(words, "%s", with_passfile) && namelist_print(words, ".cofre-passfile-%016llx", number);
}

static void take_ends(struct program *p)
{
    p->out = exec_take_output(p->exec);
    p->err = exec_take_errors(p->exec);
    p->in = exec_take_input(p->exec);
    /* Larger, as those of programs beside us. */
    if (p->out >= 0)
        fcntl(p->out, F_SETPIPE_SZ, PIPE_BYTES);
    if (p->in >= 0)
        fcntl(p->in, F_SETPIPE_SZ, PIPE_BYTES);
}

/* An empty pipe takes it whole. */
static int32_t say_password(struct program *p, const char *password, struct cofre_error *error)
{
    char *line = program_passline(password, strlen(password), error);
    if (!line)
        return COFRE_E_CONFIG;
    size_t n = strlen(line);
    ssize_t written = write(p->in, line, n);
    int failed = written < 0 ? errno : EIO;
    explicit_bzero(line, n);
    free(line);
    return written == (ssize_t)n ? COFRE_OK : cofre_fail_errno(error, failed, "give the password to %s", p->name);
}

int32_t program_start_inside(struct program *p, const struct program_inside *spec, struct cofre_error *error)
{
    static const char *const environment[] = {"LC_ALL=C", NULL};
    NAMELIST_AUTO words = {.count = 0};
    const char *path = spec->words[0];
    memset(p, 0, sizeof *p);
    p->out = p->err = p->in = p->file = -1;
    p->inside = spec->inside;
    p->why.struct_size = sizeof p->why;
    snprintf(p->name, sizeof p->name, "%s", strrchr(path, '/') ? strrchr(path, '/') + 1 : path);
    bool fine = !spec->password || add_shell(&words);
    for (size_t i = 0; fine && spec->words[i]; i++)
        fine = namelist_print(&words, "%s", spec->words[i]);
    if (!fine)
        return cofre_fail_errno(error, ENOMEM, "run %s", p->name);
    const struct exec_spec what = {.container = spec->inside->id,
                                   .words = (const char *const *)words.list,
                                   .environment = environment,
                                   .input = spec->password || spec->input >= 0,
                                   .output = spec->output};
    int32_t status = exec_start(spec->inside->daemon, spec->call, &what, &p->exec, error);
    if (status == COFRE_E_NOT_FOUND)
        cofre_hint(error, spec->password ? "a password is handed over by its shell, sh; " TO_HOST : TO_HOST);
    if (status != COFRE_OK)
        return status;
    take_ends(p);
    p->file = spec->input;
    status = spec->password ? say_password(p, spec->password, error) : COFRE_OK;
    if (p->in >= 0 && p->file < 0) {
        close(p->in);
        p->in = -1;
    }
    if (status != COFRE_OK)
        program_stop(p);
    return status;
}
