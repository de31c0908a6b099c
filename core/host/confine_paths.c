#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "host/confine.h"

/* Landlock, as of its version 6: what headers may be too old for. */
struct ruleset {
    uint64_t files, network, scoped;
};
#define REFER (UINT64_C(1) << 13)
#define TRUNCATE (UINT64_C(1) << 14)
#define IOCTL (UINT64_C(1) << 15)
#define SCOPED_SOCKETS UINT64_C(1) /* abstract ones */
#define SCOPED_SIGNALS UINT64_C(2)
#define VERSION_REFER 2 /* before it no file could be moved between directories */
#define VERSION_TRUNCATE 3
#define VERSION_IOCTL 5
#define VERSION_SCOPED 6

#define READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define ANY_FILE (LANDLOCK_ACCESS_FS_EXECUTE | LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_WRITE_FILE | TRUNCATE)

static const uint64_t accesses[] = {
    [CONFINE_READ] = READ,
    [CONFINE_EXECUTE] = READ | LANDLOCK_ACCESS_FS_EXECUTE,
    [CONFINE_WRITE] = READ | LANDLOCK_ACCESS_FS_WRITE_FILE | TRUNCATE | REFER | LANDLOCK_ACCESS_FS_REMOVE_DIR |
                      LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |
                      LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO | LANDLOCK_ACCESS_FS_MAKE_SYM,
    [CONFINE_MAKE] = LANDLOCK_ACCESS_FS_READ_DIR | LANDLOCK_ACCESS_FS_MAKE_DIR,
};

/* Programs and libraries; names of hosts, users and services; authorities. Of /etc these alone: keys are there, too. */
static const struct {
    const char *path;
    enum confine_access access;
} everywhere[] = {
    {"/usr", CONFINE_EXECUTE},
    {"/bin", CONFINE_EXECUTE},
    {"/sbin", CONFINE_EXECUTE},
    {"/lib", CONFINE_EXECUTE},
    {"/lib32", CONFINE_EXECUTE},
    {"/lib64", CONFINE_EXECUTE},
    {"/opt", CONFINE_EXECUTE},
    {"/nix/store", CONFINE_EXECUTE},
    {"/gnu/store", CONFINE_EXECUTE},
    {"/proc", CONFINE_READ},
    {"/sys", CONFINE_READ},
    {"/dev/null", CONFINE_WRITE},
    {"/dev/zero", CONFINE_WRITE},
    {"/dev/full", CONFINE_WRITE},
    {"/dev/random", CONFINE_READ},
    {"/dev/urandom", CONFINE_READ},
    {"/run/systemd/resolve", CONFINE_READ},
    {"/run/resolvconf", CONFINE_READ},
    {"/run/NetworkManager", CONFINE_READ},
    {"/var/lib/sss/mc", CONFINE_READ},
    {"/var/lib/ca-certificates", CONFINE_READ},
    {"/etc/alternatives", CONFINE_READ},
    {"/etc/ca-certificates", CONFINE_READ},
    {"/etc/ca-certificates.conf", CONFINE_READ},
    {"/etc/crypto-policies", CONFINE_READ},
    {"/etc/gai.conf", CONFINE_READ},
    {"/etc/gnutls", CONFINE_READ},
    {"/etc/group", CONFINE_READ},
    {"/etc/host.conf", CONFINE_READ},
    {"/etc/hosts", CONFINE_READ},
    {"/etc/ld.so.cache", CONFINE_READ},
    {"/etc/ld.so.conf", CONFINE_READ},
    {"/etc/ld.so.conf.d", CONFINE_READ},
    {"/etc/ld.so.preload", CONFINE_READ},
    {"/etc/locale.alias", CONFINE_READ},
    {"/etc/localtime", CONFINE_READ},
    {"/etc/nsswitch.conf", CONFINE_READ},
    {"/etc/passwd", CONFINE_READ},
    {"/etc/pki/ca-trust", CONFINE_READ},
    {"/etc/pki/tls/cert.pem", CONFINE_READ},
    {"/etc/pki/tls/certs", CONFINE_READ},
    {"/etc/pki/tls/openssl.cnf", CONFINE_READ},
    {"/etc/protocols", CONFINE_READ},
    {"/etc/resolv.conf", CONFINE_READ},
    {"/etc/services", CONFINE_READ},
    {"/etc/ssh/ssh_config", CONFINE_READ},
    {"/etc/ssh/ssh_config.d", CONFINE_READ},
    {"/etc/ssh/ssh_known_hosts", CONFINE_READ},
    {"/etc/ssl/cert.pem", CONFINE_READ},
    {"/etc/ssl/certs", CONFINE_READ},
    {"/etc/ssl/openssl.cnf", CONFINE_READ},
    {"/etc/timezone", CONFINE_READ},
#ifdef COFRE_COUNTS_BELOW /* where a build that counts lines keeps the counts */
    {COFRE_COUNTS_BELOW, CONFINE_WRITE},
#endif
};

static struct ruleset known_to(long version)
{
    struct ruleset r = {.files = (UINT64_C(1) << 13) - 1};
    r.files |= version >= VERSION_REFER ? REFER : 0;
    r.files |= version >= VERSION_TRUNCATE ? TRUNCATE : 0;
    r.files |= version >= VERSION_IOCTL ? IOCTL : 0;
    r.scoped = version >= VERSION_SCOPED ? SCOPED_SOCKETS | SCOPED_SIGNALS : 0;
    return r;
}

int confine_paths_begin(struct confine_paths *paths, struct error *e)
{
    *paths = (struct confine_paths){.ruleset = -1};
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
    if (version < VERSION_REFER)
        return 0;
    struct ruleset r = known_to(version);
    paths->handled = r.files;
    paths->ruleset = (int)syscall(SYS_landlock_create_ruleset, &r, sizeof r, 0);
    if (paths->ruleset < 0)
        return error_system(e, errno, "restrict the files of a worker");
    for (size_t i = 0; i < sizeof everywhere / sizeof everywhere[0]; i++)
        if (confine_paths_allow(paths, everywhere[i].path, everywhere[i].access, e) < 0) {
            confine_paths_free(paths);
            return -1;
        }
    return 0;
}

/* As a directory first: that mounts what is mounted when it is needed. */
static int open_place(const char *path)
{
    int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
    return fd < 0 && errno == ENOTDIR ? open(path, O_PATH | O_CLOEXEC) : fd;
}

/* The nearest directory above that is there. */
static int open_above(const char *path)
{
    char above[PATH_MAX];
    if (snprintf(above, sizeof above, "%s", path) >= (int)sizeof above)
        return -1;
    for (int fd; strlen(above) > 1;) {
        char *end = strrchr(above, '/');
        if (!end)
            return -1;
        end[end == above] = '\0';
        if ((fd = open(above, O_PATH | O_DIRECTORY | O_CLOEXEC)) >= 0)
            return fd;
    }
    return -1;
}

int confine_paths_allow(struct confine_paths *paths, const char *path, enum confine_access access, struct error *e)
{
    struct stat st;
    if (paths->ruleset < 0)
        return 0;
    AUTO_CLOSE int fd = access == CONFINE_MAKE ? open_above(path) : open_place(path);
    if (fd < 0)
        return 0; /* whoever wants to open it is going to say so */
    if (fstat(fd, &st) < 0)
        return error_system(e, errno, "look at '%s'", path);
    struct landlock_path_beneath_attr rule = {.allowed_access = accesses[access] & paths->handled, .parent_fd = fd};
    if (!S_ISDIR(st.st_mode))
        rule.allowed_access &= ANY_FILE;
    if (syscall(SYS_landlock_add_rule, paths->ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0)
        return error_system(e, errno, "let a worker reach '%s'", path);
    return 0;
}

int confine_paths_end(struct confine_paths *paths, struct error *e)
{
    int result = paths->ruleset < 0 ? 0 : (int)syscall(SYS_landlock_restrict_self, paths->ruleset, 0);
    if (result < 0)
        error_system(e, errno, "restrict the files of a worker");
    confine_paths_free(paths);
    return result;
}

void confine_paths_free(struct confine_paths *paths)
{
    if (paths->ruleset >= 0)
        close(paths->ruleset);
    paths->ruleset = -1;
}
