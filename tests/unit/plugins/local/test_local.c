/* The local sink against a host that lives in this file. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include <cofre/plugin.h>

/* ---- the disk ---------------------------------------------------------------------------------------------------- */

/* In place of libc's: what was asked for, and, when disk_fails is set, a disk that refuses. */
static ino_t disk_synced;
static unsigned disk_syncs;
static bool disk_fails;

int fsync(int fd)
{
    struct stat st;
    assert_int_equal(fstat(fd, &st), 0);
    disk_synced = st.st_ino;
    disk_syncs++;
    if (!disk_fails)
        return (int)syscall(SYS_fsync, fd);
    errno = EIO;
    return -1;
}

/* ---- the host ---------------------------------------------------------------------------------------------------- */

struct cofre_call {
    const uint8_t *give; /* put */
    size_t give_length, given, piece;
    int32_t give_error; /* instead of the end */
    uint8_t *got;       /* get */
    size_t got_length;
    uint8_t buffer[1000]; /* small, so that get needs several rounds */
    char keys[4096];      /* list: "key=size " for each */
    size_t page, on_page;
    char cursor[1024];
    size_t cursor_length;
    bool more;
    char findings[4096];
};

static int32_t host_take(struct cofre_call *call, const void **bytes, uint64_t *length, struct cofre_error *error)
{
    size_t left = call->give_length - call->given;
    if (left == 0 && call->give_error)
        return cofre_fail(error, call->give_error, "the rest never came");
    if (left == 0)
        return COFRE_END;
    *length = call->piece && left > call->piece ? call->piece : left;
    *bytes = call->give + call->given;
    call->given += *length;
    return COFRE_OK;
}

static int32_t host_reserve(struct cofre_call *call, void **buffer, size_t *length, struct cofre_error *error)
{
    (void)error;
    *buffer = call->buffer;
    *length = *length < sizeof call->buffer ? *length : sizeof call->buffer;
    return COFRE_OK;
}

static int32_t host_commit(struct cofre_call *call, size_t length, struct cofre_error *error)
{
    (void)error;
    call->got = realloc(call->got, call->got_length + length);
    assert_non_null(call->got);
    memcpy(call->got + call->got_length, call->buffer, length);
    call->got_length += length;
    return COFRE_OK;
}

static int32_t host_object(struct cofre_call *call, const struct cofre_object *object, struct cofre_error *error)
{
    (void)error;
    size_t used = strlen(call->keys);
    snprintf(call->keys + used, sizeof call->keys - used, "%s=%lld ", object->key, (long long)object->size);
    call->on_page++;
    return call->page && call->on_page == call->page ? COFRE_END : COFRE_OK;
}

static int32_t host_more(struct cofre_call *call, const void *cursor, size_t length, struct cofre_error *error)
{
    (void)error;
    assert_true(length <= sizeof call->cursor);
    memcpy(call->cursor, cursor, length);
    call->cursor_length = length;
    call->more = true;
    return COFRE_OK;
}

static int32_t host_cancelled(struct cofre_call *call, struct cofre_error *error)
{
    return call && error ? COFRE_OK : COFRE_E_BUG;
}

static void host_finding(struct cofre_call *call, int32_t level, const char *text, const char *hint)
{
    size_t used = strlen(call->findings);
    snprintf(call->findings + used, sizeof call->findings - used, "%d %s (%s)\n", (int)level, text, hint);
}

static const struct cofre_host host = {
    .struct_size = sizeof host,
    .abi_level = COFRE_ABI_LEVEL,
    .version = "test",
    .take = host_take,
    .reserve = host_reserve,
    .commit = host_commit,
    .object = host_object,
    .more = host_more,
    .cancelled = host_cancelled,
    .finding = host_finding,
};

/* ---- a sink in a new directory ----------------------------------------------------------------------------------- */

struct fixture {
    char base[64], root[128];
    const struct cofre_sink *sink;
    void *instance;
    struct cofre_error error;
    struct {
        const char *path;
    } conf;
};

static void open_sink(struct fixture *f)
{
    struct cofre_call call = {0};
    assert_int_equal(f->sink->open(&call, &f->conf, &f->instance, &f->error), COFRE_OK);
}

static int setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    assert_non_null(f);
    strcpy(f->base, "/tmp/cofre-local-XXXXXX");
    assert_non_null(mkdtemp(f->base));
    snprintf(f->root, sizeof f->root, "%s/deep/er/root", f->base);
    f->conf.path = f->root;
    f->error.struct_size = sizeof f->error;
    f->sink = cofre_plugin_v1(&host)->sink;
    open_sink(f);
    *state = f;
    return 0;
}

static int setup_made(void **state)
{
    setup(state);
    struct fixture *f = *state;
    struct cofre_call call = {0};
    assert_int_equal(f->sink->create(f->instance, &call, &f->error), COFRE_OK);
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;
    char command[128];
    f->sink->close(f->instance);
    snprintf(command, sizeof command, "rm -rf %s", f->base);
    assert_int_equal(system(command), 0);
    free(f);
    return 0;
}

static int32_t put_call(struct fixture *f, const char *key, const char *text, uint32_t flags, struct cofre_call *call)
{
    struct cofre_put put = {.struct_size = sizeof put, .flags = flags, .size = -1};
    call->give = (const uint8_t *)text;
    call->give_length = strlen(text);
    return f->sink->put(f->instance, call, key, &put, &f->error);
}

static int32_t put(struct fixture *f, const char *key, const char *text, uint32_t flags)
{
    struct cofre_call call = {.piece = 3};
    return put_call(f, key, text, flags, &call);
}

static int32_t get(struct fixture *f, const char *key, int64_t offset, int64_t length, const char *expected)
{
    struct cofre_call call = {0};
    int32_t result = f->sink->get(f->instance, &call, key, offset, length, &f->error);
    if (result == COFRE_OK) {
        assert_int_equal(call.got_length, strlen(expected));
        assert_memory_equal(call.got ? call.got : (const uint8_t *)"", expected, strlen(expected));
    }
    free(call.got);
    return result;
}

static void assert_listed(struct fixture *f, const char *prefix, size_t page, const char *expected)
{
    struct cofre_call call = {.page = page};
    do {
        call.on_page = 0;
        bool first = !call.more;
        call.more = false;
        assert_int_equal(
            f->sink->list(f->instance, &call, prefix, first ? NULL : call.cursor, call.cursor_length, &f->error),
            COFRE_OK);
    } while (call.more);
    assert_string_equal(call.keys, expected);
}

static char *below(const struct fixture *f, const char *name)
{
    static char path[512];
    snprintf(path, sizeof path, "%s/%s", f->root, name);
    return path;
}

static unsigned debris(const struct fixture *f)
{
    char command[512];
    snprintf(command, sizeof command, "exit $(ls -A %s/.tmp | wc -l)", f->root);
    return (unsigned)WEXITSTATUS(system(command));
}

/* ---- tests ------------------------------------------------------------------------------------------------------- */

static void test_missing_root_fails_everything_but_create(void **state)
{
    struct fixture *f = *state;
    struct cofre_call call = {0};
    struct cofre_object object = {.struct_size = sizeof object};
    struct cofre_space space = {.struct_size = sizeof space};
    assert_int_equal(put(f, "config", "x", 0), COFRE_E_NOT_FOUND);
    assert_non_null(strstr(f->error.hint, "is the disk mounted"));
    assert_non_null(strstr(f->error.message, f->root));
    assert_int_equal(get(f, "config", 0, -1, ""), COFRE_E_NOT_FOUND);
    assert_int_equal(f->sink->stat(f->instance, &call, "config", &object, &f->error), COFRE_E_NOT_FOUND);
    assert_int_equal(f->sink->list(f->instance, &call, "", NULL, 0, &f->error), COFRE_E_NOT_FOUND);
    assert_int_equal(f->sink->remove(f->instance, &call, "config", &f->error), COFRE_E_NOT_FOUND);
    assert_int_equal(f->sink->sweep(f->instance, &call, INT64_MAX, &f->error), COFRE_E_NOT_FOUND);
    assert_int_equal(f->sink->space(f->instance, &call, &space, &f->error), COFRE_E_NOT_FOUND);
    assert_int_equal(access(f->root, F_OK), -1);
}

static void test_create_makes_private_directories_whatever_the_umask(void **state)
{
    struct fixture *f = *state;
    struct cofre_call call = {0};
    struct stat st;
    mode_t before = umask(0777);
    int32_t made = f->sink->create(f->instance, &call, &f->error);
    int32_t again = f->sink->create(f->instance, &call, &f->error);
    int32_t stored = put(f, "packs/ab/object", "content", COFRE_PUT_IF_ABSENT);
    umask(before);
    assert_int_equal(made, COFRE_OK);
    assert_int_equal(again, COFRE_OK);
    assert_int_equal(stored, COFRE_OK);
    assert_int_equal(stat(f->root, &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(stat(below(f, "packs/ab"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0700);
    assert_int_equal(stat(below(f, "packs/ab/object"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);
}

static void test_put_then_get_and_ranges(void **state)
{
    struct fixture *f = *state;
    char big[5000];
    memset(big, 'x', sizeof big);
    big[sizeof big - 1] = '\0';
    assert_int_equal(put(f, "packs/ab/object", "0123456789", COFRE_PUT_IF_ABSENT), COFRE_OK);
    assert_int_equal(get(f, "packs/ab/object", 0, -1, "0123456789"), COFRE_OK);
    assert_int_equal(get(f, "packs/ab/object", 3, 4, "3456"), COFRE_OK);
    assert_int_equal(get(f, "packs/ab/object", 10, -1, ""), COFRE_OK);
    assert_int_equal(get(f, "packs/ab/object", 3, 8, ""), COFRE_E_RANGE);
    assert_int_equal(get(f, "packs/ab/object", 11, -1, ""), COFRE_E_RANGE);
    assert_int_equal(get(f, "packs/ab/object", -1, -1, ""), COFRE_E_RANGE);
    assert_int_equal(get(f, "packs/ab/object", INT64_MAX, INT64_MAX, ""), COFRE_E_RANGE);
    assert_int_equal(get(f, "packs/ab/other", 0, -1, ""), COFRE_E_NOT_FOUND);
    assert_int_equal(get(f, "nowhere/other", 0, -1, ""), COFRE_E_NOT_FOUND);
    assert_int_equal(put(f, "big", big, 0), COFRE_OK);
    assert_int_equal(get(f, "big", 0, -1, big), COFRE_OK);
    assert_int_equal(put(f, "empty", "", 0), COFRE_OK);
    assert_int_equal(get(f, "empty", 0, -1, ""), COFRE_OK);
    assert_int_equal(debris(f), 0);
}

static void test_if_absent_spares_what_is_there(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(put(f, "config", "old", COFRE_PUT_IF_ABSENT), COFRE_OK);
    assert_int_equal(put(f, "config", "new", COFRE_PUT_IF_ABSENT), COFRE_E_EXISTS);
    assert_int_equal(get(f, "config", 0, -1, "old"), COFRE_OK);
    assert_int_equal(put(f, "config", "new", 0), COFRE_OK);
    assert_int_equal(get(f, "config", 0, -1, "new"), COFRE_OK);
    assert_int_equal(debris(f), 0);
}

static void test_a_broken_put_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct cofre_call call = {.give_error = COFRE_E_CANCELLED};
    assert_int_equal(put(f, "config", "old", 0), COFRE_OK);
    assert_int_equal(put_call(f, "config", "half", 0, &call), COFRE_E_CANCELLED);
    assert_int_equal(get(f, "config", 0, -1, "old"), COFRE_OK);
    assert_int_equal(debris(f), 0);
    struct cofre_put announced = {.struct_size = sizeof announced, .size = 7};
    struct cofre_call shorter = {.give = (const uint8_t *)"short", .give_length = 5};
    assert_int_equal(f->sink->put(f->instance, &shorter, "config", &announced, &f->error), COFRE_E_BUG);
    assert_int_equal(get(f, "config", 0, -1, "old"), COFRE_OK);
    assert_int_equal(debris(f), 0);
}

static void test_bad_keys_are_refused(void **state)
{
    struct fixture *f = *state;
    char long_key[COFRE_MAX_KEY + 2];
    memset(long_key, 'k', sizeof long_key - 1);
    long_key[sizeof long_key - 1] = '\0';
    const char *const bad[] = {"",    "/",    "/a",   "a/",     "a//b",     ".",     "..",    "a/../b",
                               "a b", "a\nb", "\xc3", ".tmp/x", "a/.tmp/x", ".tmpx", "a/./b", long_key};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(put(f, bad[i], "x", 0), COFRE_E_BUG);
    long_key[COFRE_MAX_KEY] = '\0';
    assert_int_equal(put(f, long_key, "x", 0), COFRE_OK);
    assert_int_equal(put(f, "a/...", "x", 0), COFRE_OK);
}

static void test_list_is_sorted_complete_and_pages(void **state)
{
    struct fixture *f = *state;
    const char *const keys[] = {"packs/ab/2", "packs/ab/1", "packs/a.b", "packs/a0", "config", "packs.x", "z"};
    for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++)
        assert_int_equal(put(f, keys[i], "12", 0), COFRE_OK);
    assert_int_equal(mkdir(below(f, "lost+found"), 0700), 0);
    assert_int_equal(mkdir(below(f, "empty"), 0700), 0);
    const char *all = "config=2 packs.x=2 packs/a.b=2 packs/a0=2 packs/ab/1=2 packs/ab/2=2 z=2 ";
    for (size_t page = 0; page < 9; page++)
        assert_listed(f, "", page, all);
    assert_listed(f, "packs/", 0, "packs/a.b=2 packs/a0=2 packs/ab/1=2 packs/ab/2=2 ");
    assert_listed(f, "packs/ab", 1, "packs/ab/1=2 packs/ab/2=2 ");
    assert_listed(f, "packs", 3, "packs.x=2 packs/a.b=2 packs/a0=2 packs/ab/1=2 packs/ab/2=2 ");
    assert_listed(f, "packs/ab/2", 0, "packs/ab/2=2 ");
    assert_listed(f, "config/", 0, "");
}

static void test_links_are_not_followed(void **state)
{
    struct fixture *f = *state;
    struct cofre_call call = {0};
    char outside[128], listed[64];
    snprintf(outside, sizeof outside, "%s/outside", f->base);
    assert_int_equal(mkdir(outside, 0700), 0);
    assert_int_equal(symlink(outside, below(f, "packs")), 0);
    assert_int_equal(put(f, "packs/object", "x", 0), COFRE_E_PERMANENT);
    assert_int_equal(get(f, "packs/object", 0, -1, ""), COFRE_E_PERMANENT);
    assert_int_equal(f->sink->remove(f->instance, &call, "packs/object", &f->error), COFRE_E_PERMANENT);
    /* An object that nobody can get, which stands in no other's way. */
    assert_int_equal(put(f, "snapshots/one", "12", 0), COFRE_OK);
    snprintf(listed, sizeof listed, "packs=%zu snapshots/one=2 ", strlen(outside));
    assert_listed(f, "", 0, listed);
    assert_int_equal(get(f, "packs", 0, -1, ""), COFRE_E_INTEGRITY);
    assert_int_equal(rmdir(outside), 0);
    assert_int_equal(unlink(below(f, "packs")), 0);
    assert_int_equal(mkfifo(below(f, "config"), 0600), 0);
    assert_int_equal(get(f, "config", 0, -1, ""), COFRE_E_INTEGRITY);
}

static void test_root_must_be_a_directory(void **state)
{
    struct fixture *f = *state;
    struct cofre_call call = {0};
    void *instance = NULL;
    char path[256];
    snprintf(path, sizeof path, "%s/link", f->base);
    assert_int_equal(symlink(f->root, path), 0);
    f->conf.path = path;
    assert_int_equal(f->sink->open(&call, &f->conf, &instance, &f->error), COFRE_E_CONFIG);
    strcat(path, "//");
    assert_int_equal(f->sink->open(&call, &f->conf, &instance, &f->error), COFRE_E_CONFIG);
}

static void test_remove_and_stat(void **state)
{
    struct fixture *f = *state;
    struct cofre_call call = {0};
    struct cofre_object object = {.struct_size = sizeof object};
    assert_int_equal(put(f, "packs/ab/object", "0123456789", 0), COFRE_OK);
    assert_int_equal(f->sink->stat(f->instance, &call, "packs/ab/object", &object, &f->error), COFRE_OK);
    assert_int_equal(object.size, 10);
    assert_true(object.mtime > 1600000000000000000);
    assert_int_equal(f->sink->stat(f->instance, &call, "packs/ab", &object, &f->error), COFRE_E_INTEGRITY);
    assert_int_equal(f->sink->remove(f->instance, &call, "packs/ab/object", &f->error), COFRE_OK);
    assert_int_equal(f->sink->remove(f->instance, &call, "packs/ab/object", &f->error), COFRE_OK);
    assert_int_equal(f->sink->remove(f->instance, &call, "never/was", &f->error), COFRE_OK);
    assert_int_equal(f->sink->stat(f->instance, &call, "packs/ab/object", &object, &f->error), COFRE_E_NOT_FOUND);
}

static ino_t inode_of(struct fixture *f, const char *name)
{
    struct stat st;
    assert_int_equal(stat(below(f, name), &st), 0);
    return st.st_ino;
}

static void test_what_is_gone_or_there_is_so_after_a_power_cut(void **state)
{
    struct fixture *f = *state;
    struct cofre_call call = {0};
    assert_int_equal(put(f, "packs/ab/object", "0123456789", COFRE_PUT_IF_ABSENT), COFRE_OK);
    assert_true(disk_synced == inode_of(f, "packs/ab"));
    disk_synced = 0;
    assert_int_equal(put(f, "packs/ab/object", "other", COFRE_PUT_IF_ABSENT), COFRE_E_EXISTS);
    assert_true(disk_synced == inode_of(f, "packs/ab"));
    for (int i = 0; i < 2; i++) { /* also when a process that was killed had removed it */
        disk_synced = 0;
        assert_int_equal(f->sink->remove(f->instance, &call, "packs/ab/object", &f->error), COFRE_OK);
        assert_true(disk_synced == inode_of(f, "packs/ab"));
    }
}

/* With one fsync for the objects of a directory, as they follow each other. */
static void test_many_are_removed_at_once(void **state)
{
    struct fixture *f = *state;
    struct cofre_call call = {0};
    static const char *const there[] = {"packs/ab/1", "packs/ab/2", "packs/cd/1", "stays"};
    static const char *const keys[] = {"packs/ab/1",   "packs/ab/2", "packs/ab/absent", "never/was",
                                       "never/at-all", "packs/cd/1", "packs/cd/2"};
    static const char *const bad[] = {"packs/ab/1", "packs/ab/.."};
    for (size_t i = 0; i < sizeof there / sizeof *there; i++)
        assert_int_equal(put(f, there[i], "x", 0), COFRE_OK);
    disk_syncs = 0;
    assert_int_equal(f->sink->remove_many(f->instance, &call, keys, sizeof keys / sizeof *keys, &f->error), COFRE_OK);
    assert_int_equal(disk_syncs, 2);
    assert_true(disk_synced == inode_of(f, "packs/cd"));
    for (size_t i = 0; i < 3; i++) {
        struct cofre_object object = {.struct_size = sizeof object};
        assert_int_equal(f->sink->stat(f->instance, &call, there[i], &object, &f->error), COFRE_E_NOT_FOUND);
    }
    inode_of(f, "stays");
    assert_int_equal(f->sink->remove_many(f->instance, &call, bad, 2, &f->error), COFRE_E_BUG);
    disk_fails = true;
    assert_int_equal(f->sink->remove_many(f->instance, &call, keys, 1, &f->error), COFRE_E_PERMANENT);
    assert_non_null(strstr(f->error.message, "packs/ab/1"));
    disk_fails = false;
}

static void test_a_failed_fsync_is_an_error_and_never_tried_again(void **state)
{
    struct fixture *f = *state;
    struct cofre_call call = {0};
    assert_int_equal(put(f, "packs/ab/first", "first", 0), COFRE_OK);
    disk_fails = true;
    disk_syncs = 0;
    assert_int_equal(put(f, "packs/ab/object", "0123456789", 0), COFRE_E_PERMANENT);
    assert_int_equal(disk_syncs, 1);
    assert_int_equal(put(f, "packs/ab/first", "first", COFRE_PUT_IF_ABSENT), COFRE_E_PERMANENT);
    assert_int_equal(f->sink->remove(f->instance, &call, "packs/ab/first", &f->error), COFRE_E_PERMANENT);
    assert_int_equal(f->sink->check(f->instance, &call, COFRE_CHECK_CONNECT, &f->error), COFRE_OK);
    assert_non_null(strstr(call.findings, "3 write in directory"));
    disk_fails = false;
    assert_int_equal(get(f, "packs/ab/object", 0, -1, ""), COFRE_E_NOT_FOUND);
    assert_int_equal(debris(f), 0);
}

static void copy_debris(const struct fixture *f, const char *name)
{
    int fd = open(below(f, name), O_WRONLY | O_CREAT | O_EXCL, 0600);
    assert_true(fd >= 0);
    close(fd);
}

static int64_t ago(int64_t seconds)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return ((int64_t)now.tv_sec - seconds) * 1000000000;
}

static pid_t dead_process(void)
{
    pid_t pid = fork();
    if (pid == 0)
        _exit(0);
    assert_true(pid > 0);
    waitpid(pid, NULL, 0);
    return pid;
}

static void test_sweep_removes_the_dead_and_the_old_only(void **state)
{
    struct fixture *f = *state;
    struct cofre_call call = {0};
    char boot[40] = "", name[128], id[33] = "";
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY);
    assert_true(read(fd, boot, 36) == 36);
    close(fd);
    for (size_t i = 0, used = 0; i < 36; i++) {
        if (boot[i] != '-')
            id[used++] = boot[i];
    }
    snprintf(name, sizeof name, ".tmp/%s.%ld.0000000000000001", id, (long)dead_process());
    copy_debris(f, name); /* dead */
    pid_t zombie = fork();
    if (zombie == 0)
        _exit(0);
    siginfo_t info;
    assert_int_equal(waitid(P_PID, (id_t)zombie, &info, WEXITED | WNOWAIT), 0);
    snprintf(name, sizeof name, ".tmp/%s.%ld.0000000000000004", id, (long)zombie);
    copy_debris(f, name); /* dead, and not waited for */
    snprintf(name, sizeof name, ".tmp/%s.%ld.0000000000000002", id, (long)getpid());
    copy_debris(f, name);                                                       /* the process lives */
    copy_debris(f, ".tmp/00112233445566778899aabbccddeeff.1.0000000000000003"); /* of another machine */
    assert_int_equal(f->sink->sweep(f->instance, &call, ago(3600), &f->error), COFRE_OK);
    assert_int_equal(debris(f), 2);
    assert_int_equal(waitpid(zombie, NULL, 0), zombie);
    int held = open(below(f, name), O_RDWR);
    assert_int_equal(flock(held, LOCK_EX), 0);
    assert_int_equal(f->sink->sweep(f->instance, &call, ago(-3600), &f->error), COFRE_OK);
    assert_int_equal(debris(f), 1); /* the held one, however old */
    close(held);
    assert_int_equal(f->sink->sweep(f->instance, &call, ago(-3600), &f->error), COFRE_OK);
    assert_int_equal(debris(f), 0);
}

static void test_check_says_what_is_wrong_and_leaves_nothing(void **state)
{
    struct fixture *f = *state;
    struct cofre_call call = {0}, again = {0};
    assert_int_equal(f->sink->check(f->instance, &call, COFRE_CHECK_CONNECT, &f->error), COFRE_OK);
    assert_non_null(strstr(call.findings, "can be written"));
    assert_null(strstr(call.findings, "by others"));
    assert_int_equal(chmod(f->root, 0755), 0);
    assert_int_equal(f->sink->check(f->instance, &again, COFRE_CHECK_CONNECT, &f->error), COFRE_OK);
    assert_non_null(strstr(again.findings, "can be read by others (mode 0755)"));
    assert_non_null(strstr(again.findings, "chmod 0700"));
    assert_listed(f, "", 0, "");
    assert_int_equal(debris(f), 0);
}

static void test_check_of_a_missing_root_is_an_error_with_a_hint(void **state)
{
    struct fixture *f = *state;
    struct cofre_call call = {0};
    assert_int_equal(f->sink->check(f->instance, &call, COFRE_CHECK_OFFLINE, &f->error), COFRE_OK);
    assert_string_equal(call.findings, "");
    assert_int_equal(f->sink->check(f->instance, &call, COFRE_CHECK_CONNECT, &f->error), COFRE_OK);
    assert_int_equal(strncmp(call.findings, "3 ", 2), 0);
    assert_non_null(strstr(call.findings, "is the disk mounted"));
}

static void test_space_is_known(void **state)
{
    struct fixture *f = *state;
    struct cofre_call call = {0};
    struct cofre_space space = {.struct_size = sizeof space};
    assert_int_equal(f->sink->space(f->instance, &call, &space, &f->error), COFRE_OK);
    assert_true(space.total > 0 && space.available >= 0 && space.available <= space.total);
}

int main(void)
{
#define MADE(f) cmocka_unit_test_setup_teardown(f, setup_made, teardown)
#define BARE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
    const struct CMUnitTest tests[] = {
        BARE(test_missing_root_fails_everything_but_create),
        BARE(test_create_makes_private_directories_whatever_the_umask),
        BARE(test_check_of_a_missing_root_is_an_error_with_a_hint),
        MADE(test_put_then_get_and_ranges),
        MADE(test_if_absent_spares_what_is_there),
        MADE(test_a_broken_put_leaves_nothing),
        MADE(test_bad_keys_are_refused),
        MADE(test_list_is_sorted_complete_and_pages),
        MADE(test_links_are_not_followed),
        MADE(test_root_must_be_a_directory),
        MADE(test_remove_and_stat),
        MADE(test_many_are_removed_at_once),
        MADE(test_what_is_gone_or_there_is_so_after_a_power_cut),
        MADE(test_a_failed_fsync_is_an_error_and_never_tried_again),
        MADE(test_sweep_removes_the_dead_and_the_old_only),
        MADE(test_check_says_what_is_wrong_and_leaves_nothing),
        MADE(test_space_is_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
