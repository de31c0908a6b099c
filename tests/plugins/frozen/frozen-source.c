/* A small source that is kept as it was built for each level: the files of one directory, none below. It uses much of
 * what a source can, so that a host of a later level shows whether it still works. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cofre/plugin.h>

struct conf {
    const char *path;
    struct cofre_list skip;
    struct cofre_secret password;
    int32_t renew;
};

static const struct cofre_option rows[] = {
    COFRE_OPTION(struct conf, path, PATH, COFRE_O_REQUIRED | COFRE_O_RESTORE, NULL, "the directory"),
    COFRE_OPTION(struct conf, skip, LIST, 0, NULL, "names that are left out"),
    COFRE_OPTION(struct conf, password, SECRET, 0, NULL, "a secret, whose length is a fact"),
    COFRE_OPTION(struct conf, renew, BOOLEAN, COFRE_O_RESTORE | COFRE_O_REPLACE, "no", "may a restore replace files?"),
};

static const struct cofre_source role;
static const struct cofre_plugin descriptor = {
    .struct_size = sizeof descriptor,
    .api_level = COFRE_API_LEVEL,
    .min_host_level = COFRE_API_LEVEL,
    .name = "frozen-source",
    .version = "1",
    .summary = "a source as it was built for an earlier level",
    .license = "0BSD",
    .example = "path = /srv/files",
    .options = COFRE_OPTIONS(struct conf, rows),
    .source = &role,
};
COFRE_PLUGIN(descriptor)

#define TRY(call)                                                                                                      \
    do {                                                                                                               \
        int32_t result_ = (call);                                                                                      \
        if (result_ != COFRE_OK)                                                                                       \
            return result_;                                                                                            \
    } while (0)

static int32_t frozen_open(struct cofre_call *call, const void *conf, void **instance, struct cofre_error *error)
{
    (void)call;
    const struct conf **copy = malloc(sizeof *copy);
    if (!copy)
        return cofre_fail(error, COFRE_E_MEMORY, "out of memory");
    *copy = conf;
    *instance = copy;
    return COFRE_OK;
}

static void frozen_close(void *instance)
{
    free(instance);
}

static int32_t frozen_check(void *instance, struct cofre_call *call, int32_t depth, struct cofre_error *error)
{
    const struct conf *conf = *(const struct conf **)instance;
    if (depth == COFRE_CHECK_OFFLINE)
        return COFRE_OK;
    if (depth != COFRE_CHECK_CONNECT)
        return cofre_unknown(error, "check", "depth", (uint32_t)depth);
    TRY(cofre->pause(call, 1, error));
    if (access(conf->path, R_OK) == 0)
        cofre->finding(call, COFRE_LOG_INFO, "the directory can be read", NULL);
    else
        cofre->finding(call, COFRE_LOG_ERROR, "the directory cannot be read", "is it there?");
    return COFRE_OK;
}

static int is_skipped(const struct conf *conf, const char *name)
{
    for (size_t i = 0; i < conf->skip.count; i++)
        if (strcmp(conf->skip.items[i], name) == 0)
            return 1;
    return 0;
}

static int32_t send_file(struct cofre_call *call, int fd, const char *name, const struct stat *st, int64_t *bytes,
                         struct cofre_error *error)
{
    static const struct cofre_attribute attribute = {"user.frozen", "level", 5};
    int64_t fingerprint[4] = {st->st_mtim.tv_sec, st->st_mtim.tv_nsec, st->st_size, (int64_t)st->st_ino}, sent = 0;
    const struct cofre_entry entry = {.struct_size = sizeof entry,
                                      .kind = COFRE_FILE,
                                      .path = name,
                                      .path_length = (uint32_t)strlen(name),
                                      .size = st->st_size,
                                      .mtime = st->st_mtim.tv_sec * INT64_C(1000000000) + st->st_mtim.tv_nsec,
                                      .mode = st->st_mode & 07777,
                                      .uid = st->st_uid,
                                      .gid = st->st_gid,
                                      .user = "frozen",
                                      .attributes = &attribute,
                                      .attribute_count = 1,
                                      .attribute_stride = sizeof attribute,
                                      .fingerprint = fingerprint,
                                      .fingerprint_length = sizeof fingerprint};
    *bytes += st->st_size;
    if (cofre->unchanged(call, name, strlen(name), fingerprint, sizeof fingerprint) == COFRE_UNCHANGED)
        return COFRE_OK;
    TRY(cofre->entry(call, &entry, error));
    TRY(cofre_send_fd(call, fd, -1, &sent, "read a file", error));
    return cofre->end(call, sent == st->st_size ? COFRE_OK : COFRE_E_CHANGED, NULL, error);
}

static int32_t save(const struct conf *conf, struct cofre_call *call, const char *name, int64_t *bytes,
                    struct cofre_error *error)
{
    char path[4400];
    struct stat st;
    struct cofre_error why = {.struct_size = sizeof why};
    if (name[0] == '.')
        return COFRE_OK;
    if (is_skipped(conf, name))
        return cofre->left_out(call, name, strlen(name), "it is in skip", error);
    snprintf(path, sizeof path, "%s/%s", conf->path, name);
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
    if (fd < 0 || fstat(fd, &st) < 0) {
        int32_t class = cofre_fail_errno(&why, errno, "open '%s'", name);
        return cofre->missing(call, name, strlen(name), class, &why, error);
    }
    int32_t result = send_file(call, fd, name, &st, bytes, error);
    close(fd);
    return result;
}

static int32_t say_number(struct cofre_call *call, const char *key, int64_t number, uint32_t flags,
                          struct cofre_error *error)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)number);
    return cofre->fact(call, key, text, flags, error);
}

static int32_t say_facts(const struct conf *conf, struct cofre_call *call, int64_t bytes, struct cofre_error *error)
{
    const char *key, *value;
    int64_t runs = 0;
    int32_t result;
    for (uint64_t i = 0; (result = cofre->recorded(call, i, &key, &value, error)) == COFRE_OK; i++)
        if (strcmp(key, "frozen.runs") == 0)
            runs = strtoll(value, NULL, 10);
    if (result != COFRE_END)
        return result;
    TRY(cofre->fact(call, "frozen.path", conf->path, COFRE_FACT_IDENTITY, error));
    TRY(say_number(call, "frozen.bytes", bytes, COFRE_FACT_MUST_MATCH, error));
    TRY(say_number(call, "frozen.secret", (int64_t)conf->password.length, 0, error));
    return say_number(call, "frozen.runs", runs + 1, COFRE_FACT_MAY_GROW, error);
}

static int by_bytes(const struct dirent **a, const struct dirent **b)
{
    return strcmp((*a)->d_name, (*b)->d_name);
}

static int32_t frozen_backup(void *instance, struct cofre_call *call, struct cofre_error *error)
{
    const struct conf *conf = *(const struct conf **)instance;
    struct dirent **list;
    int64_t bytes = 0;
    int32_t result = COFRE_OK;
    int n = scandir(conf->path, &list, NULL, by_bytes);
    if (n < 0)
        return cofre_fail_errno(error, errno, "list '%s'", conf->path);
    for (int i = 0; i < n; i++) {
        if (result == COFRE_OK)
            result = save(conf, call, list[i]->d_name, &bytes, error);
        free(list[i]);
    }
    free(list);
    return result == COFRE_OK ? say_facts(conf, call, bytes, error) : result;
}

static int32_t write_content(struct cofre_call *call, int fd, struct cofre_error *error)
{
    const void *bytes;
    uint64_t n;
    int32_t result;
    while ((result = cofre->take(call, &bytes, &n, error)) == COFRE_OK) {
        if (!bytes && lseek(fd, (off_t)n, SEEK_CUR) < 0)
            return cofre_fail_errno(error, errno, "write a hole");
        if (bytes && write(fd, bytes, n) != (ssize_t)n)
            return cofre_fail(error, COFRE_E_NO_SPACE, "write: not all was written");
    }
    return result == COFRE_END ? COFRE_OK : result;
}

static int32_t put_back(const struct conf *conf, struct cofre_call *call, const struct cofre_entry *entry,
                        struct cofre_error *error)
{
    char path[70000];
    if (entry->kind != COFRE_FILE)
        return cofre_unknown(error, "restore", "kind of entry", entry->kind);
    if (!COFRE_HAS(entry, attributes) || strcmp(entry->attributes[0].name, "user.frozen") != 0)
        return cofre_fail(error, COFRE_E_INTEGRITY, "the attribute is gone");
    snprintf(path, sizeof path, "%s/%s", conf->path, entry->path);
    int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | (conf->renew ? O_TRUNC : O_EXCL), entry->mode);
    if (fd < 0)
        return cofre_fail_errno(error, errno, "create '%s'", path);
    int32_t result = write_content(call, fd, error);
    if (close(fd) < 0 && result == COFRE_OK)
        result = cofre_fail_errno(error, errno, "write '%s'", path);
    return result;
}

static int32_t frozen_restore(void *instance, struct cofre_call *call, struct cofre_error *error)
{
    const struct conf *conf = *(const struct conf **)instance;
    const struct cofre_entry *entry;
    int32_t result;
    while ((result = cofre->next(call, &entry, error)) == COFRE_OK) {
        struct cofre_error why = {.struct_size = sizeof why};
        int32_t one = put_back(conf, call, entry, &why);
        TRY(cofre->done(call, one, one == COFRE_OK ? NULL : &why, error));
    }
    return result == COFRE_END ? COFRE_OK : result;
}

static const struct cofre_source role = {
    .struct_size = sizeof role,
    .capabilities = COFRE_SOURCE_RECORDED,
    .open = frozen_open,
    .close = frozen_close,
    .check = frozen_check,
    .backup = frozen_backup,
    .restore = frozen_restore,
};
