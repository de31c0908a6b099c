#include "redis/scratch.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cofre/plugin.h"
#include "common/ownfile.h"
#include "common/process.h"
#include "common/spawn.h"
#include "redis/link.h"
#include "redis/wait.h"

#define PLACE 4200
#define SOCKET_MAX 107 /* sockaddr_un */
#define STARTING 10000 /* ms */
#define PAUSE 20       /* ms */

static int32_t place_of(struct cofre_call *call, const char *id, char out[PLACE], struct cofre_error *error)
{
    const char *directory;
    int32_t class = cofre->directory(call, &directory, error);
    if (class == COFRE_OK)
        snprintf(out, PLACE, "%s/scratch-%s", directory, id);
    return class;
}

/* ---- starting ---- */

/* Any bytes, in the server's own quotes. */
static void write_quoted(FILE *f, const void *bytes, size_t n)
{
    const uint8_t *p = bytes;
    for (size_t i = 0; i < n; i++)
        fprintf(f, "\\x%02x", p[i]);
}

static void write_login(FILE *f, const struct conf *conf)
{
    if (conf->user) {
        fputs("user default off\nuser \"", f);
        write_quoted(f, conf->user, strlen(conf->user));
        fputs("\" on ~* &* +@all \">", f);
        write_quoted(f, conf->password.bytes, conf->password.length);
        fputs("\"\n", f);
    } else if (conf->password.length) {
        fputs("requirepass \"", f);
        write_quoted(f, conf->password.bytes, conf->password.length);
        fputs("\"\n", f);
    }
}

/* The configuration goes through memory: the password is in no argument and in no file. */
static int32_t make_configuration(const struct conf *conf, const char *place, int *fd, struct cofre_error *error)
{
    *fd = memfd_create("redis.conf", MFD_CLOEXEC);
    int copy = *fd < 0 ? -1 : fcntl(*fd, F_DUPFD_CLOEXEC, 0);
    FILE *f = copy < 0 ? NULL : fdopen(copy, "we");
    if (!f)
        return cofre_fail_errno(error, errno, "make a configuration for redis-server");
    fprintf(f, "port 0\nunixsocket \"%s/s\"\nunixsocketperm 700\ndir \"%s\"\nsave \"\"\nappendonly no\n", place, place);
    fprintf(f, "pidfile \"%s/pid\"\nlogfile \"%s/log\"\ndaemonize yes\ndatabases 65536\n", place, place);
    write_login(f, conf);
    if (fclose(f) != 0 || lseek(*fd, 0, SEEK_SET) < 0)
        return cofre_fail_errno(error, errno, "write a configuration for redis-server");
    return COFRE_OK;
}

/* It makes itself a daemon, so it outlives this worker; its child returns at once. */
static int32_t spawn(const char *program, int configuration, struct cofre_error *error)
{
    char name[] = "redis-server", dash[] = "-";
    char *arguments[] = {name, dash, NULL}, *environment[] = {NULL};
    const struct spawn server = {.program = program,
                                 .words = arguments,
                                 .environment = environment,
                                 .input = configuration,
                                 .output = -1,
                                 .errors = STDERR_FILENO};
    pid_t pid;
    int status = 0;
    /* Its memory is its data, which may be more than a worker may have. Only root can lift that limit. */
    struct rlimit kept, none = {RLIM_INFINITY, RLIM_INFINITY};
    bool lifted = getrlimit(RLIMIT_DATA, &kept) == 0 && setrlimit(RLIMIT_DATA, &none) == 0;
    int failed = spawn_start(&server, &pid);
    if (lifted)
        setrlimit(RLIMIT_DATA, &kept);
    if (failed)
        return cofre_fail_errno(error, failed, "start '%s'", program);
    while (waitpid(pid, &status, 0) < 0 && errno == EINTR)
        ;
    return status == 0 ? COFRE_OK : cofre_fail(error, COFRE_E_PERMANENT, "start '%s': it ended at once", program);
}

static int32_t connect_scratch(const struct conf *conf, struct cofre_call *call, const char *place, struct link **link,
                               struct cofre_error *error)
{
    char path[PLACE];
    struct conf there = *conf;
    snprintf(path, sizeof path, "%s/s", place);
    there.socket = path;
    there.inside = NULL;
    int32_t class = link_open(call, &there, link, error);
    if (class == COFRE_OK)
        (*link)->conf = conf;
    return class;
}

static int32_t await_start(const struct conf *conf, struct cofre_call *call, const char *place,
                           struct cofre_error *error)
{
    struct link *link;
    for (int64_t until = wait_clock() + STARTING;;) {
        int32_t class = connect_scratch(conf, call, place, &link, error);
        if (class == COFRE_OK) {
            link_close(link);
            return COFRE_OK;
        }
        if ((class != COFRE_E_RETRY && class != COFRE_E_NOT_FOUND) || wait_clock() > until)
            return class;
        struct cofre_error ended = {.struct_size = sizeof ended};
        class = wait_for(call, -1, 0, PAUSE, "start redis-server", &ended);
        if (class != COFRE_OK) {
            *error = ended;
            return class;
        }
    }
}

int32_t scratch_begin(const struct conf *conf, struct cofre_call *call, const char *id, char *overrides, size_t length,
                      struct cofre_error *error)
{
    char place[PLACE];
    int configuration = -1;
    int32_t class = place_of(call, id, place, error);
    if (class != COFRE_OK)
        return class;
    if (strlen(place) + 2 > SOCKET_MAX)
        return cofre_fail(error, COFRE_E_CONFIG, "'%s' is too long a path for a socket", place);
    if (access(conf->server, X_OK) != 0) {
        class = cofre_fail_errno(error, errno, "find '%s' for a trial restore", conf->server);
        cofre_hint(error, "install redis-server on this machine, or set 'server' to its path");
        return class;
    }
    if (mkdir(place, 0700) != 0 && errno != EEXIST)
        return cofre_fail_errno(error, errno, "make '%s'", place);
    class = make_configuration(conf, place, &configuration, error);
    if (class == COFRE_OK)
        class = spawn(conf->server, configuration, error);
    if (configuration >= 0)
        close(configuration);
    if (class == COFRE_OK)
        class = await_start(conf, call, place, error);
    if (class == COFRE_OK)
        snprintf(overrides, length, "%ssocket=%s/s\n", conf->inside ? "container=\n" : "", place);
    return class;
}

/* ---- ending ---- */

/* The process of the pid file, when it works in our directory and nowhere else. */
static pid_t find_process(const char *place)
{
    char path[PLACE + 8], where[PLACE] = "", link[40];
    long pid = 0;
    snprintf(path, sizeof path, "%s/pid", place);
    FILE *f = ownfile_read(path);
    if (!f)
        return 0;
    if (fscanf(f, "%ld", &pid) != 1)
        pid = 0;
    fclose(f);
    int fd = pid > 1 ? process_open(pid, COFRE_PROCESS_DIRECTORY) : -1;
    if (fd < 0)
        return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    bool same = readlink(link, where, sizeof where - 1) > 0 && strcmp(where, place) == 0;
    close(fd);
    return same ? (pid_t)pid : 0;
}

static int32_t await_end(struct cofre_call *call, const char *place, struct cofre_error *error)
{
    for (int64_t until = wait_clock() + STARTING; find_process(place) > 0;) {
        if (wait_clock() > until)
            return cofre_fail(error, COFRE_E_TIMEOUT, "end the server in '%s': it does not end", place);
        int32_t class = wait_for(call, -1, 0, PAUSE, place, error);
        if (class != COFRE_OK)
            return class;
    }
    return COFRE_OK;
}

static int32_t remove_place(const char *place, struct cofre_error *error)
{
    DIR *d = opendir(place);
    if (!d)
        return errno == ENOENT ? COFRE_OK : cofre_fail_errno(error, errno, "open '%s'", place);
    for (const struct dirent *row = readdir(d); row; row = readdir(d))
        if (strcmp(row->d_name, ".") != 0 && strcmp(row->d_name, "..") != 0)
            unlinkat(dirfd(d), row->d_name, 0);
    closedir(d);
    return rmdir(place) == 0 || errno == ENOENT ? COFRE_OK : cofre_fail_errno(error, errno, "remove '%s'", place);
}

int32_t scratch_end(const struct conf *conf, struct cofre_call *call, const char *id, struct cofre_error *error)
{
    char place[PLACE], real[PLACE];
    (void)conf;
    int32_t class = place_of(call, id, place, error);
    if (class != COFRE_OK)
        return class;
    /* As the process sees it. */
    if (!realpath(place, real))
        return errno == ENOENT ? COFRE_OK : cofre_fail_errno(error, errno, "find '%s'", place);
    pid_t pid = find_process(real);
    if (pid > 0)
        kill(pid, SIGKILL);
    class = await_end(call, real, error);
    return class == COFRE_OK ? remove_place(real, error) : class;
}
