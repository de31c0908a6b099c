/* A good source whose entries are made up, by options: streams and files with generated content. What is restored goes
 * to files below `into`; the content is the same in every run, so a test knows what must come back. */
#include <cofre/plugin.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct conf {
    struct cofre_list streams;
    const char *lacking;
    int64_t size;
    int64_t files;
    int64_t file_size;
    int64_t seed;
    int64_t changed;
    int64_t piece;
    const char *into;
    const char *fact;
    const char *identity;
    struct cofre_list left_out;
    int32_t counted;
};

static const struct cofre_option rows[] = {
    COFRE_OPTION(struct conf, streams, LIST, 0, NULL, "names of streams, in path order"),
    COFRE_OPTION(struct conf, lacking, PATH, 0, NULL,
                 "a file that names one of them: it has one byte, or is not there"),
    COFRE_OPTION(struct conf, size, SIZE, 0, "0", "bytes of each stream"),
    COFRE_OPTION_RANGE(struct conf, files, INTEGER, 0, "0", 0, 99999999, "how many files"),
    COFRE_OPTION(struct conf, file_size, SIZE, 0, "0", "bytes of each file"),
    COFRE_OPTION(struct conf, seed, INTEGER, 0, "1", "another seed, other content"),
    COFRE_OPTION(struct conf, changed, INTEGER, 0, "0",
                 "every so-manieth file has another fingerprint in each run; 0 = none"),
    COFRE_OPTION_RANGE(struct conf, piece, SIZE, 0, "1MiB", 1, 1 << 20, "bytes of one write"),
    COFRE_OPTION(struct conf, into, PATH, COFRE_O_RESTORE, NULL, "directory to restore into"),
    COFRE_OPTION(struct conf, fact, STRING, 0, NULL, "value of the fact 'memory.fact'"),
    COFRE_OPTION(struct conf, identity, STRING, 0, NULL, "value of the fact 'memory.identity', which identifies"),
    COFRE_OPTION(struct conf, left_out, LIST, 0, NULL, "names of what is left out"),
    COFRE_OPTION(struct conf, counted, BOOLEAN, 0, "no",
                 "facts 'memory.runs', one more than the last snapshot says, and 'memory.after', its id"),
};

static const struct cofre_source role;
static const struct cofre_plugin descriptor = {
    .struct_size = sizeof descriptor,
    .api_level = COFRE_API_LEVEL,
    .min_host_level = COFRE_API_LEVEL,
    .name = "memory-source",
    .version = "1",
    .summary = "made-up streams and files, for tests",
    .license = "MIT",
    .example = "streams = one.dump\nsize = 1MiB",
    .options = COFRE_OPTIONS(struct conf, rows),
    .source = &role,
};
COFRE_PLUGIN(descriptor)

#include "try.h"

/* Eight bytes of content at a time; half of it repeats, so that it also compresses. */
struct generator {
    uint64_t state;
};

static uint64_t generate(struct generator *g)
{
    g->state += 0x9e3779b97f4a7c15u;
    uint64_t z = g->state;
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return (z ^ (z >> 31)) & 0x0f0f0f0fffffffffu;
}

static struct generator generator_for(const struct conf *conf, const char *path)
{
    struct generator g = {(uint64_t)conf->seed * 1000003u};
    for (; *path; path++)
        g.state = g.state * 31 + (unsigned char)*path;
    return g;
}

static int32_t send_content(const struct conf *conf, struct cofre_call *call, const char *path, int64_t size,
                            struct cofre_error *error)
{
    struct generator g = generator_for(conf, path);
    while (size > 0) {
        void *buffer;
        /* Pieces of whole words, so that their size does not change the content; the last one may be cut. */
        size_t want = (size_t)(size < conf->piece ? size : conf->piece), got = want < 8 ? 8 : want;
        TRY(cofre->reserve(call, &buffer, &got, error));
        size_t whole = got - got % 8, n = 0;
        if (whole == 0)
            return cofre_fail(error, COFRE_E_PERMANENT, "write '%s': the host lent less than 8 bytes", path);
        for (; n + 8 <= whole && n < want; n += 8) {
            uint64_t word = generate(&g);
            memcpy((char *)buffer + n, &word, 8);
        }
        if ((int64_t)n > size)
            n = (size_t)size;
        TRY(cofre->commit(call, n, error));
        size -= (int64_t)n;
    }
    return COFRE_OK;
}

static int32_t send_entry(const struct conf *conf, struct cofre_call *call, uint32_t kind, const char *path,
                          int64_t size, uint64_t stamp, struct cofre_error *error)
{
    uint64_t fingerprint[4] = {(uint64_t)conf->seed, (uint64_t)size, kind, stamp};
    struct cofre_entry entry = {.struct_size = sizeof entry,
                                .kind = kind,
                                .path = path,
                                .path_length = (uint32_t)strlen(path),
                                .size = kind == COFRE_FILE ? size : -1,
                                .mtime = 1700000000000000000,
                                .mode = 0640,
                                .fingerprint = kind == COFRE_FILE ? fingerprint : NULL,
                                .fingerprint_length = kind == COFRE_FILE ? sizeof fingerprint : 0};
    if (entry.fingerprint &&
        cofre->unchanged(call, path, entry.path_length, fingerprint, sizeof fingerprint) == COFRE_UNCHANGED)
        return COFRE_OK;
    TRY(cofre->entry(call, &entry, error));
    TRY(send_content(conf, call, path, size, error));
    return cofre->end(call, COFRE_OK, NULL, error);
}

static int32_t source_open(struct cofre_call *call, const void *conf, void **instance, struct cofre_error *error)
{
    (void)call;
    memcpy(instance, &conf, sizeof conf);
    const struct conf *options = conf;
    if (options->into && access(options->into, W_OK) != 0)
        return cofre_fail(error, COFRE_E_NOT_FOUND, "open '%s': %s", options->into, strerror(errno));
    return COFRE_OK;
}

static void source_close(void *instance)
{
    (void)instance;
}

static int32_t source_check(void *instance, struct cofre_call *call, int32_t depth, struct cofre_error *error)
{
    const struct conf *conf = instance;
    (void)depth;
    (void)error;
    cofre->finding(call, COFRE_LOG_INFO, conf->into ? "the target can be written" : "nothing to look at", NULL);
    return COFRE_OK;
}

static int32_t say_facts(const struct conf *conf, struct cofre_call *call, struct cofre_error *error)
{
    if (conf->fact)
        TRY(cofre->fact(call, "memory.fact", conf->fact, COFRE_FACT_MUST_MATCH, error));
    if (conf->identity)
        TRY(cofre->fact(call, "memory.identity", conf->identity, COFRE_FACT_IDENTITY, error));
    return COFRE_OK;
}

/* Goes on from what it recorded last. */
static int32_t say_runs(struct cofre_call *call, struct cofre_error *error)
{
    const char *key, *value;
    char text[24];
    long runs = 0;
    int32_t result;
    for (uint64_t i = 0; (result = cofre->recorded(call, i, &key, &value, error)) == COFRE_OK; i++)
        if (strcmp(key, "memory.runs") == 0)
            runs = strtol(value, NULL, 10);
    if (result != COFRE_END)
        return result;
    snprintf(text, sizeof text, "%ld", runs + 1);
    TRY(cofre->fact(call, "memory.runs", text, COFRE_FACT_MAY_GROW, error));
    return cofre->fact(call, "memory.after", cofre->snapshot(call), 0, error);
}

/* "small NAME" or "gone NAME" in the file. -1 = gone. */
static int64_t size_of(const struct conf *conf, const char *stream)
{
    char text[128] = "", wanted[128];
    int fd = conf->lacking ? open(conf->lacking, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return conf->size;
    ssize_t n = read(fd, text, sizeof text - 1);
    close(fd);
    if (n <= 0)
        return conf->size;
    snprintf(wanted, sizeof wanted, "gone %s", stream);
    if (strcmp(text, wanted) == 0)
        return -1;
    snprintf(wanted, sizeof wanted, "small %s", stream);
    return strcmp(text, wanted) == 0 ? 1 : conf->size;
}

static int32_t source_backup(void *instance, struct cofre_call *call, struct cofre_error *error)
{
    const struct conf *conf = instance;
    char path[32];
    for (int64_t i = 0; i < conf->files; i++) {
        uint64_t stamp = conf->changed && i % conf->changed == 0 ? (uint64_t)getpid() : 0;
        snprintf(path, sizeof path, "file-%08lld", (long long)i);
        TRY(send_entry(conf, call, COFRE_FILE, path, conf->file_size, stamp, error));
    }
    for (size_t i = 0; i < conf->streams.count; i++) {
        int64_t size = size_of(conf, conf->streams.items[i]);
        if (size >= 0)
            TRY(send_entry(conf, call, COFRE_STREAM, conf->streams.items[i], size, 0, error));
    }
    for (size_t i = 0; i < conf->left_out.count; i++)
        TRY(cofre->left_out(call, conf->left_out.items[i], strlen(conf->left_out.items[i]), "it is closed", error));
    if (conf->counted)
        TRY(say_runs(call, error));
    return say_facts(conf, call, error);
}

static int32_t write_all(int fd, const char *bytes, uint64_t length, const char *path, struct cofre_error *error)
{
    while (length > 0) {
        ssize_t n = write(fd, bytes, length);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            return cofre_fail(error, COFRE_E_PERMANENT, "write '%s': %s", path, strerror(errno));
        bytes += n;
        length -= (uint64_t)n;
    }
    return COFRE_OK;
}

static int32_t write_content(struct cofre_call *call, int fd, const char *path, struct cofre_error *error)
{
    const void *bytes;
    uint64_t length;
    int32_t result;
    while ((result = cofre->take(call, &bytes, &length, error)) == COFRE_OK) {
        if (bytes)
            TRY(write_all(fd, bytes, length, path, error));
        else if (lseek(fd, (off_t)length, SEEK_CUR) < 0 || ftruncate(fd, lseek(fd, 0, SEEK_CUR)) < 0)
            return cofre_fail(error, COFRE_E_PERMANENT, "write '%s': %s", path, strerror(errno));
    }
    return result == COFRE_END ? COFRE_OK : result;
}

static int32_t restore_one(const struct conf *conf, struct cofre_call *call, const struct cofre_entry *entry,
                           struct cofre_error *error)
{
    char path[4200];
    if (strchr(entry->path, '/') || (entry->kind != COFRE_FILE && entry->kind != COFRE_STREAM))
        return cofre_fail(error, COFRE_E_UNSUPPORTED, "restore '%s': only files without directories", entry->path);
    if (!conf->into)
        return cofre_fail(error, COFRE_E_UNSUPPORTED, "restore '%s': no option 'into'", entry->path);
    snprintf(path, sizeof path, "%s/%s", conf->into, entry->path);
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (fd < 0)
        return cofre_fail(error, COFRE_E_PERMANENT, "create '%s': %s", path, strerror(errno));
    int32_t result = write_content(call, fd, path, error);
    if (close(fd) < 0 && result == COFRE_OK)
        result = cofre_fail(error, COFRE_E_PERMANENT, "close '%s': %s", path, strerror(errno));
    return result;
}

static int32_t source_restore(void *instance, struct cofre_call *call, struct cofre_error *error)
{
    const struct cofre_entry *entry;
    int32_t result;
    while ((result = cofre->next(call, &entry, error)) == COFRE_OK) {
        struct cofre_error why = {.struct_size = sizeof why};
        int32_t one = restore_one(instance, call, entry, &why);
        TRY(cofre->cancelled(call, error));
        TRY(cofre->done(call, one, one == COFRE_OK ? NULL : &why, error));
    }
    return result == COFRE_END ? COFRE_OK : result;
}

static int32_t source_estimate(void *instance, struct cofre_call *call, int64_t *entries, int64_t *bytes,
                               struct cofre_error *error)
{
    const struct conf *conf = instance;
    (void)call;
    (void)error;
    *entries = conf->files + (int64_t)conf->streams.count;
    *bytes = conf->files * conf->file_size + (int64_t)conf->streams.count * conf->size;
    return COFRE_OK;
}

static int32_t source_facts(void *instance, struct cofre_call *call, struct cofre_error *error)
{
    return say_facts(instance, call, error);
}

static const struct cofre_source role = {
    .struct_size = sizeof role,
    .capabilities = COFRE_SOURCE_RECORDED | COFRE_SOURCE_PARTS,
    .open = source_open,
    .close = source_close,
    .check = source_check,
    .backup = source_backup,
    .restore = source_restore,
    .estimate = source_estimate,
    .facts = source_facts,
};
