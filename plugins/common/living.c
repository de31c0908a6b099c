#include "common/living.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "cofre/plugin.h"
#include "common/process.h"

#define CURE_POSTGRES "save it with plugin = postgres"
#define CURE_REDIS "save it with plugin = redis"
#define CURE_OTHER "stop it for the backup, or save a dump of it or a snapshot of its file system"
#define JUST_NOW 600 /* seconds */

/* The pages that SQLite locks, in every version: fileformat.html, "The Lock-Byte Page". */
#define SQLITE_LOCKS 0x40000000
#define SQLITE_LOCKS_LENGTH 512

/* ---- what the kernel says ---- */

/* Does another process hold a lock on these bytes of the file? length 0 = to the end. */
static bool is_locked(int dir, const char *name, off_t start, off_t length)
{
    struct flock lock = {.l_type = F_WRLCK, .l_whence = SEEK_SET, .l_start = start, .l_len = length};
    int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    if (fd < 0)
        return false;
    bool locked = fcntl(fd, F_GETLK, &lock) == 0 && lock.l_type != F_UNLCK;
    close(fd);
    return locked;
}

static bool runs_one_of(const char *process, const char *const *programs)
{
    char path[64], name[32] = "";
    snprintf(path, sizeof path, "/proc/%.20s/comm", process);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false;
    ssize_t n = read(fd, name, sizeof name - 1);
    close(fd);
    name[n > 0 ? n - 1 : 0] = '\0';
    for (; *programs; programs++)
        if (strcmp(name, *programs) == 0)
            return true;
    return false;
}

/* A directory in /proc is a process when its name is a number. Does this one run one of the programs in there? */
static bool works_in(const char *process, const struct stat *place, const char *const *programs)
{
    struct stat st;
    if (!isdigit((unsigned char)process[0]) || !runs_one_of(process, programs))
        return false;
    int fd = process_open(atoll(process), COFRE_PROCESS_DIRECTORY);
    bool same = fd >= 0 && fstat(fd, &st) == 0 && st.st_dev == place->st_dev && st.st_ino == place->st_ino;
    if (fd >= 0)
        close(fd);
    return same;
}

static bool has_process(int fd, const char *const *programs)
{
    struct stat place;
    DIR *processes = fstat(fd, &place) == 0 ? opendir("/proc") : NULL;
    bool found = false;
    if (!processes)
        return false;
    for (const struct dirent *d = readdir(processes); d && !found; d = readdir(processes))
        found = works_in(d->d_name, &place, programs);
    closedir(processes);
    return found;
}

/* Root, outside all containers: then a process that is not seen is not there. */
static bool sees_all_processes(void)
{
    static const char first[] = "pid:[4026531836]"; /* PROC_PID_INIT_INO of the kernel */
    char space[64];
    ssize_t n = readlink("/proc/self/ns/pid", space, sizeof space);
    return geteuid() == 0 && n == (ssize_t)sizeof first - 1 && memcmp(space, first, sizeof first - 1) == 0;
}

/* ---- one kind after another ---- */

struct place {
    int fd;
    const struct listing *listing;
    const struct listing_range *range;
};

static bool has(const struct place *p, const char *name)
{
    return listing_find(p->listing, p->range, name) != SIZE_MAX;
}

static bool postgres_lives(const struct place *p)
{
    static const char *const programs[] = {"postgres", "postmaster", "edb-postgres", NULL};
    if (!has(p, "PG_VERSION") || !has(p, "postmaster.pid"))
        return false;
    return has_process(p->fd, programs) || !sees_all_processes();
}

static bool ends_with(const char *name, size_t length, const char *end)
{
    size_t n = strlen(end);
    return length > n && memcmp(name + length - n, end, n) == 0;
}

/* *recent: one of them changed just now. */
static bool has_redis_files(const struct place *p, bool *recent)
{
    struct stat st;
    bool any = false;
    for (size_t i = p->range->first; i < p->range->end; i++) {
        const struct listing_name *n = &p->listing->names[i];
        const char *name = listing_text(p->listing, n);
        if (!ends_with(name, n->length, ".rdb") && !ends_with(name, n->length, ".aof") &&
            strcmp(name, "appendonlydir") != 0)
            continue;
        any = true;
        *recent |= fstatat(p->fd, name, &st, AT_SYMLINK_NOFOLLOW) == 0 && time(NULL) - st.st_mtime < JUST_NOW;
    }
    return any;
}

static bool redis_lives(const struct place *p)
{
    static const char *const programs[] = {"redis-server", "valkey-server", "keydb-server", NULL};
    bool recent = false;
    if (!has_redis_files(p, &recent))
        return false;
    return has_process(p->fd, programs) || (recent && !sees_all_processes());
}

static bool innodb_lives(const struct place *p)
{
    return has(p, "ibdata1") && is_locked(p->fd, "ibdata1", 0, 0);
}

static bool aria_lives(const struct place *p)
{
    return has(p, "aria_log_control") && is_locked(p->fd, "aria_log_control", 0, 0);
}

static bool mongo_lives(const struct place *p)
{
    return has(p, "WiredTiger.lock") && is_locked(p->fd, "WiredTiger.lock", 0, 0);
}

static const struct {
    bool (*lives)(const struct place *);
    struct living living;
} kinds[] = {
    {postgres_lives, {"a PostgreSQL server", "", CURE_POSTGRES, true}},
    {redis_lives, {"a Redis server", "", CURE_REDIS, true}},
    {innodb_lives, {"a MySQL or MariaDB server", "", CURE_OTHER, false}},
    {aria_lives, {"a MariaDB server", "", CURE_OTHER, false}},
    {mongo_lives, {"a MongoDB server", "", CURE_OTHER, false}},
};

/* The database of a write-ahead log or journal that is not empty, when it is open: one that a crash left is whole
 * together with its journal. */
static bool sqlite_lives(const struct place *p, const char *journal, size_t length, char name[NAME_MAX + 1])
{
    static const char *const ends[] = {"-wal", "-journal"};
    struct stat st;
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        if (!ends_with(journal, length, ends[i]))
            continue;
        snprintf(name, NAME_MAX + 1, "%.*s", (int)(length - strlen(ends[i])), journal);
        return has(p, name) && fstatat(p->fd, journal, &st, AT_SYMLINK_NOFOLLOW) == 0 && st.st_size > 0 &&
               is_locked(p->fd, name, SQLITE_LOCKS, SQLITE_LOCKS_LENGTH);
    }
    return false;
}

int32_t living_find(int fd, const struct listing *listing, const struct listing_range *range,
                    int32_t (*found)(void *context, const struct living *living), void *context)
{
    struct place place = {.fd = fd, .listing = listing, .range = range};
    char name[NAME_MAX + 1];
    int32_t status = COFRE_OK;
    for (size_t i = 0; status == COFRE_OK && i < sizeof kinds / sizeof kinds[0]; i++)
        if (kinds[i].lives(&place))
            return found(context, &kinds[i].living);
    for (size_t i = range->first; status == COFRE_OK && i < range->end; i++) {
        const struct listing_name *n = &listing->names[i];
        if (n->length <= NAME_MAX && sqlite_lives(&place, listing_text(listing, n), n->length, name))
            status = found(context, &(struct living){"an SQLite database that is open", name, CURE_OTHER, false});
    }
    return status;
}

const struct living *living_by_name(const char *name, uint64_t size)
{
    static const struct {
        const char *name; /* with '*' in front: the end of it */
        struct living living;
    } signs[] = {
        {"postmaster.pid", {"a PostgreSQL server", "", CURE_POSTGRES, true}},
        {"appendonlydir", {"a Redis server", "", CURE_REDIS, true}},
        {"*.aof", {"a Redis server", "", CURE_REDIS, true}},
        {"ibdata1", {"a MySQL or MariaDB server", "", CURE_OTHER, false}},
        {"WiredTiger.lock", {"a MongoDB server", "", CURE_OTHER, false}},
        {"*-wal", {"an SQLite database that is open", "", CURE_OTHER, false}},
        {"*-journal", {"an SQLite database that is open", "", CURE_OTHER, false}},
    };
    for (size_t i = 0; i < sizeof signs / sizeof signs[0]; i++) {
        const char *sign = signs[i].name;
        if (sign[0] == '*' ? size > 0 && ends_with(name, strlen(name), sign + 1) : strcmp(name, sign) == 0)
            return &signs[i].living;
    }
    return NULL;
}

void living_explain(const struct living *living, const char *container, struct cofre_error *why)
{
    bool named = container && living->by_container;
    cofre_fail(why, COFRE_E_CHANGED,
               "%s is at work in it: files read one after another need not fit together; %s%s%.200s", living->what,
               living->cure, named ? " and container = " : "", named ? container : "");
    cofre_hint(why, "live_database = accept when that is good enough");
}
