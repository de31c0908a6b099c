#include "rsync/link.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cofre/plugin.h"
#include "rsync/verdict.h"

#define TEXT_MAX ((size_t)64 << 10)
#define OLDEST "3.2.4"        /* escapes odd characters in paths, knows --fsync */
#define LEAST_RATE (10 << 20) /* bytes per second that a far side reads and compares, at least */
#define CONNECTING 10         /* ms between looks for the socket */
#define PAUSE_FIRST 50        /* ms before a run to a crowded daemon */
#define PAUSE_LONGEST 2000

/* ---- the options ---- */

static int32_t wrong_file(const char *option, const char *path, const char *why, const char *hint,
                          struct cofre_error *error)
{
    cofre_fail(error, COFRE_E_CONFIG, "%s '%s': %s", option, path, why);
    cofre_hint(error, "%s", hint);
    return COFRE_E_CONFIG;
}

/* ssh's own words about a key file come late and are easily missed. */
static int32_t check_file(const char *option, const char *path, bool secret, struct cofre_error *error)
{
    struct stat st;
    if (!path)
        return COFRE_OK;
    if (stat(path, &st)) {
        cofre_fail_errno(error, errno, "look at %s '%s'", option, path);
        return COFRE_E_CONFIG;
    }
    if (!S_ISREG(st.st_mode))
        return wrong_file(option, path, "it is not a regular file", "name a file", error);
    if (secret && (st.st_mode & 077))
        return wrong_file(option, path, "others can read it", "chmod 0600 it, and think of a new key", error);
    if (access(path, R_OK))
        return wrong_file(option, path, "it cannot be read", "see its owner and mode", error);
    return COFRE_OK;
}

static int32_t check_options(const struct options *o, const struct target *target, struct cofre_error *error)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._- ";
    bool for_ssh = o->identity_file || o->read_identity_file || o->known_hosts || o->rsync_path;
    if (target->daemon && for_ssh)
        return cofre_fail(
            error, COFRE_E_CONFIG,
            "identity_file, read_identity_file, known_hosts and rsync_path are for ssh, but target '%s' is "
            "an rsync daemon",
            o->target);
    if (!target->daemon && o->password.length > 0)
        return cofre_fail(error, COFRE_E_CONFIG,
                          "password is for an rsync daemon, but target '%s' goes through ssh; "
                          "use identity_file",
                          o->target);
    if (o->rsync_path && (!*o->rsync_path || *o->rsync_path == '-' || o->rsync_path[strspn(o->rsync_path, letters)]))
        return cofre_fail(error, COFRE_E_CONFIG,
                          "rsync_path '%s' has characters that the far side's shell would take "
                          "for its own",
                          o->rsync_path);
    int32_t result = check_file("identity_file", o->identity_file, true, error);
    if (!result)
        result = check_file("read_identity_file", o->read_identity_file, true, error);
    return result ? result : check_file("known_hosts", o->known_hosts, false, error);
}

/* ---- ssh's configuration ---- */

/* Links, so that no path of the operator's has to be quoted for ssh. */
static int32_t link_file(const struct link *link, const char *name, const char *path, struct cofre_error *error)
{
    char here[WORKSPACE_PATH];
    if (!path || symlink(path, workspace_path(&link->workspace, name, "", here)) == 0)
        return COFRE_OK;
    return cofre_fail_errno(error, errno, "make link '%s'", here);
}

static int seconds(int64_t milliseconds)
{
    return milliseconds < 1000 ? 1 : (int)(milliseconds / 1000);
}

/* The first value that ssh finds counts, so the user's and the system's files come last: aliases work, our rules hold.
 */
static int32_t configure(const struct link *link, enum link_way way, const char *identity, struct cofre_error *error)
{
    const struct options *o = link->options;
    const char *base = link->workspace.path;
    int patience = seconds(o->io_timeout);
    char name[16], text[2048], port[32] = "", key[WORKSPACE_PATH + 64] = "", hosts[WORKSPACE_PATH + 64] = "";
    snprintf(name, sizeof name, "config%d", way);
    if (o->ssh_port)
        snprintf(port, sizeof port, "Port %d\n", (int)o->ssh_port);
    if (identity)
        snprintf(key, sizeof key, "IdentityFile %s/%s\nIdentitiesOnly yes\n", base, identity);
    if (o->known_hosts)
        snprintf(hosts, sizeof hosts, "UserKnownHostsFile %s/hosts\nGlobalKnownHostsFile /dev/null\n", base);
    int n = snprintf(text, sizeof text,
                     "Host *\n%s%s%s"
                     "BatchMode yes\nStrictHostKeyChecking yes\nUpdateHostKeys no\nCheckHostIP no\n"
                     "ControlMaster no\nControlPath %s/" WORKSPACE_SOCKET "%d\nControlPersist no\n"
                     "ConnectTimeout %d\nServerAliveInterval %d\nServerAliveCountMax 3\nTCPKeepAlive yes\n"
                     "ForwardAgent no\nForwardX11 no\nClearAllForwardings yes\nPermitLocalCommand no\nRequestTTY no\n"
                     "Compression no\nEscapeChar none\nLogLevel ERROR\n"
                     "Include ~/.ssh/config\nInclude /etc/ssh/ssh_config\n"
                     /* Half the time of the default on processors with AES. */
                     "Ciphers ^aes128-gcm@openssh.com\n",
                     port, key, hosts, base, way, patience, patience / 3 > 0 ? patience / 3 : 1);
    if (n >= (int)sizeof text)
        return cofre_fail(error, COFRE_E_BUG, "ssh's configuration is too long");
    return workspace_write(&link->workspace, name, text, (size_t)n, error);
}

static int32_t configure_all(const struct link *link, struct cofre_error *error)
{
    const struct options *o = link->options;
    const char *reading = o->read_identity_file ? "readkey" : o->identity_file ? "key" : NULL;
    int32_t result = link_file(link, "key", o->identity_file, error);
    if (!result)
        result = link_file(link, "readkey", o->read_identity_file, error);
    if (!result)
        result = link_file(link, "hosts", o->known_hosts, error);
    if (!result)
        result = configure(link, LINK_WRITE, o->identity_file ? "key" : NULL, error);
    return result ? result : configure(link, LINK_READ, reading, error);
}

int32_t link_open(struct link *link, const struct options *options, struct cofre_error *error)
{
    *link = (struct link){.options = options, .masters = {PROGRAM_NONE, PROGRAM_NONE}, .workspace = {.fd = -1}};
    int32_t result = target_parse(options->target, &link->target, error);
    if (!result)
        result = check_options(options, &link->target, error);
    if (!result)
        result = workspace_open(&link->workspace, options->staging, error);
    if (!result && !link->target.daemon)
        result = configure_all(link, error);
    if (result)
        link_close(link);
    return result;
}

void link_close(struct link *link)
{
    link_drop(link);
    workspace_close(&link->workspace);
}

/* ---- the rsync here ---- */

static int32_t look_at_version(const char *text, struct cofre_error *error)
{
    int major = 0, minor = 0, patch = 0;
    if (sscanf(text, "rsync version %d.%d.%d", &major, &minor, &patch) >= 2 &&
        major * 10000 + minor * 100 + patch >= 30204)
        return COFRE_OK;
    cofre_fail(error, COFRE_E_UNSUPPORTED, "the rsync here is '%.*s'", (int)strcspn(text, "\n"), text);
    cofre_hint(error, "rsync " OLDEST " or newer is needed on this side");
    return COFRE_E_UNSUPPORTED;
}

static int32_t check_version(struct link *link, struct cofre_call *call, struct cofre_error *error)
{
    struct program_words words = {.count = 0};
    struct program program;
    program_word(&words, "rsync");
    program_word(&words, "--version");
    int32_t result = program_start(&program, &link->workspace, &words, NULL, error);
    program_free_words(&words);
    if (result)
        return result;
    result = program_wait(&program, call, error);
    char *text = result ? NULL : program_text(program.out, TEXT_MAX, error);
    if (!result)
        result = text ? look_at_version(text, error) : COFRE_E_MEMORY;
    free(text);
    program_close(&program);
    link->checked = result == COFRE_OK;
    return result;
}

/* ---- the connection ---- */

static int32_t start_master(struct link *link, enum link_way way, struct cofre_error *error)
{
    struct program_words words = {.count = 0};
    program_word(&words, "ssh");
    program_word(&words, "-F%s/config%d", link->workspace.path, way);
    program_word(&words, "-MN");
    const char *at = strrchr(link->target.login, '@');
    const char *host = at ? at + 1 : link->target.login;
    size_t length = strlen(host);
    if (at)
        program_word(&words, "-l%.*s", (int)(at - link->target.login), link->target.login);
    program_word(&words, "--");
    if (*host == '[')
        program_word(&words, "%.*s", (int)length - 2, host + 1);
    else
        program_word(&words, "%s", host);
    int32_t result = program_start(&link->masters[way], &link->workspace, &words, NULL, error);
    program_free_words(&words);
    return result;
}

static void end_master(struct link *link, enum link_way way)
{
    char name[16], path[WORKSPACE_PATH];
    snprintf(name, sizeof name, WORKSPACE_SOCKET "%d", way);
    program_kill(&link->masters[way]);
    program_close(&link->masters[way]);
    /* A killed one leaves it, and the next would take it for its own. */
    unlink(workspace_path(&link->workspace, name, "", path));
}

/* The socket appears when the far side has let us in. */
static int32_t wait_for_socket(struct link *link, enum link_way way, struct cofre_call *call, struct cofre_error *error)
{
    char name[16], path[WORKSPACE_PATH];
    struct program *master = &link->masters[way];
    snprintf(name, sizeof name, WORKSPACE_SOCKET "%d", way);
    workspace_path(&link->workspace, name, "", path);
    for (int wait = 1; access(path, F_OK); wait = wait < CONNECTING ? 2 * wait : CONNECTING) {
        if (program_ended(master, wait)) {
            char *text = program_text(master->err, TEXT_MAX, error);
            int status = program_exit(master);
            int32_t result = text ? verdict_fail(error, "connect", link->options->target, status ? status : 255, text)
                                  : COFRE_E_MEMORY;
            free(text);
            return result;
        }
        int32_t result = cofre->cancelled(call, error);
        if (result)
            return result;
    }
    return COFRE_OK;
}

void link_is_crowded(struct link *link)
{
    link->pause = link->pause == 0 ? PAUSE_FIRST : link->pause < PAUSE_LONGEST / 2 ? 2 * link->pause : PAUSE_LONGEST;
}

static int32_t need_daemon(struct link *link, struct cofre_call *call, struct cofre_error *error)
{
    int32_t result = cofre->pause(call, link->pause, error);
    return result || link->checked ? result : check_version(link, call, error);
}

int32_t link_need(struct link *link, enum link_way way, struct cofre_call *call, struct cofre_error *error)
{
    if (link->target.daemon)
        return need_daemon(link, call, error);
    if (way == LINK_READ && !link->options->read_identity_file)
        way = LINK_WRITE;
    if (link->masters[way].pid && !program_ended(&link->masters[way], 0))
        return COFRE_OK;
    end_master(link, way);
    int32_t result = start_master(link, way, error);
    /* While ssh is on its way. */
    if (!result && !link->checked)
        result = check_version(link, call, error);
    if (!result)
        result = wait_for_socket(link, way, call, error);
    if (result)
        end_master(link, way);
    return result;
}

void link_drop(struct link *link)
{
    for (int way = 0; way < LINK_WAYS; way++)
        if (link->masters[way].pid || link->masters[way].handle >= 0)
            end_master(link, (enum link_way)way);
}

/* ---- the words ---- */

void link_words(const struct link *link, enum link_way way, int64_t work, struct program_words *words)
{
    const struct options *o = link->options;
    int patience = seconds(o->io_timeout);
    if (way == LINK_READ && !o->read_identity_file)
        way = LINK_WRITE;
    program_word(words, "rsync");
    if (link->target.daemon) {
        program_word(words, "--no-motd");
        program_word(words, "--password-file=-");
        program_word(words, "--contimeout=%d", patience);
    } else {
        program_word(words, "--rsh=ssh -F%s/config%d", link->workspace.path, way);
        if (o->rsync_path)
            program_word(words, "--rsync-path=%s", o->rsync_path);
    }
    program_word(words, "--timeout=%d", patience + (int)(work / LEAST_RATE));
    if (o->bandwidth)
        program_word(words, "--bwlimit=%lldK", (long long)(o->bandwidth + 1023) / 1024);
    program_word(words, "--no-human-readable");
    program_word(words, "--from0");
}

const struct cofre_secret *link_input(const struct link *link)
{
    return link->target.daemon ? &link->options->password : NULL;
}
