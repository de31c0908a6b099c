/* diff and find: patterns, what counts as the same, and a million entries in little memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/error.h"
#include "cofre/plugin.h"
#include "format/vault.h"
#include "job/diff.h"
#include "job/entries.h"
#include "job/find.h"
#include "repository/catalogue.h"
#include "repository/seal.h"
#include "snapshot/manifest.h"
#include "snapshot/record.h"

/* ---- a vault that makes its entries up ---- */

#define MILLION 1000000u
#define HUNDREDTH 100u

/* The second one has every hundredth file anew, and lacks the one behind it, and has one more behind that. */
struct forged {
    unsigned count;
    bool second;
};

static int give(const struct forged *f, unsigned number, vault_entry *entry, void *context, struct error *e)
{
    char path[64];
    unsigned way = f->second ? number % HUNDREDTH : HUNDREDTH;
    struct catalogue_extent extent = {.offset = number, .length = 1000};
    extent.id[0] = way == 0 ? 2 : 1;
    if (way == 1)
        return 0;
    struct record record = {.entry = {.kind = COFRE_FILE, .size = 1000, .mtime = way == 0, .mode = 0644, .path = path},
                            .extents = &extent,
                            .extent_count = 1};
    record.entry.path_length =
        (size_t)snprintf(path, sizeof path, "directory-%04u/a file with a usual name, %07u", number / 1000, number);
    if (entry(context, &record, e) < 0)
        return -1;
    strcat(path, "-more");
    record.entry.path_length += 5;
    return way == 2 ? entry(context, &record, e) : 0;
}

static int make_entries(struct vault *vault, const struct manifest *manifest, const struct manifest_source *source,
                        const char *path, vault_entry *entry, void *context, struct error *e)
{
    const struct forged *f = vault->own;
    (void)manifest;
    (void)source;
    (void)path;
    for (unsigned i = 0; i < f->count; i++)
        if (give(f, i, entry, context, e) < 0)
            return -1;
    return 0;
}

static const struct vault_format format = {.entries = make_entries};

struct counting {
    uint64_t counts[DIFF_KINDS];
    size_t most; /* bytes of the heap */
};

static int count(void *context, enum diff_what what, const struct entries_item *before,
                 const struct entries_item *after, struct error *e)
{
    struct counting *c = context;
    size_t used = mallinfo2().uordblks + mallinfo2().hblkhd;
    (void)e;
    assert_true((before != NULL) == (what != DIFF_ADDED) && (after != NULL) == (what != DIFF_REMOVED));
    c->counts[what]++;
    c->most = used > c->most ? used : c->most;
    return 0;
}

static void test_a_million_entries_in_little_memory(void **state)
{
    char directory[] = "/tmp/cofre-diff-XXXXXX";
    struct forged first = {.count = MILLION}, second = {.count = MILLION, .second = true};
    struct vault vaults[2] = {{.format = &format, .own = &first}, {.format = &format, .own = &second}};
    struct manifest_source source = {.status = MANIFEST_COMPLETE};
    const struct manifest manifest = {.sources = &source, .source_count = 1};
    const struct diff_side before = {&vaults[0], &manifest, &source}, after = {&vaults[1], &manifest, &source};
    struct counting c = {.most = 0};
    struct error e;
    uint64_t entries;
    (void)state;
    assert_non_null(mkdtemp(directory));
    assert_int_equal(seal_init(&e), 0);
    size_t used = mallinfo2().uordblks + mallinfo2().hblkhd;
    if (diff_run(&before, &after, NULL, directory, count, &c, &entries, &e) < 0)
        fail_msg("%s", e.message);
    assert_int_equal(entries, 2 * MILLION);
    assert_int_equal(c.counts[DIFF_CHANGED], MILLION / HUNDREDTH);
    assert_int_equal(c.counts[DIFF_REMOVED], MILLION / HUNDREDTH);
    assert_int_equal(c.counts[DIFF_ADDED], MILLION / HUNDREDTH);
    assert_int_equal(c.counts[DIFF_METADATA], 0);
    if (c.most > used + ((size_t)1 << 20))
        fail_msg("it took %zu bytes", c.most - used);
    /* Nothing is left. */
    assert_int_equal(rmdir(directory), 0);
}

/* ---- what is the same ---- */

static int keep(void *context, const struct entries_item *item, struct error *e)
{
    (void)e;
    *(struct entries_item *)context = *item;
    return 0;
}

/* The item of a file of two records. */
static struct entries_item item_of(int64_t size, int64_t mtime, uint32_t mode, uint8_t chunk)
{
    struct entries_item item = {.path = NULL};
    struct entries_taker taker = {.take = keep, .context = &item};
    struct error e;
    struct catalogue_extent extent = {.id = {1}, .length = 10};
    struct record record = {
        .entry = {.kind = COFRE_FILE, .size = size, .mtime = mtime, .mode = mode, .path = "x", .path_length = 1},
        .more = true,
        .extents = &extent,
        .extent_count = chunk != 0};
    assert_int_equal(entries_take(&taker, &record, &e), 0);
    assert_null(item.path);
    extent.id[0] = chunk;
    record.continuation = true;
    record.more = false;
    assert_int_equal(entries_take(&taker, &record, &e), 0);
    assert_non_null(item.path);
    entries_taker_free(&taker);
    return item;
}

static void test_what_is_the_same(void **state)
{
    (void)state;
    const struct entries_item item = item_of(20, 5, 0644, 7);
    const struct {
        struct entries_item other;
        bool content, version, metadata;
    } cases[] = {
        {item_of(20, 5, 0644, 7), true, true, true},
        {item_of(20, 6, 0644, 7), true, false, false},              /* touched */
        {item_of(20, 5, 0600, 8), true, true, false},               /* chmod, and stored anew: rsync's rule */
        {item_of(20, 6, 0644, 8), false, false, false},             /* written */
        {item_of(21, 5, 0644, 7), false, false, true},              /* it cannot be */
        {item_of(20, 5, 0644, 0), true, true, true},                /* an archive does not say where it lies */
        {item_of(20, 6, 0644, 0), false, false, false},             /* likewise */
        {item_of(20, COFRE_NO_TIME, 0644, 8), false, false, false}, /* a stream has no time */
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (entries_same_content(&item, &cases[i].other) != cases[i].content ||
            entries_same_version(&item, &cases[i].other) != cases[i].version ||
            entries_same_metadata(&item, &cases[i].other) != cases[i].metadata)
            fail_msg("case %zu", i);
    struct entries_item stream = item_of(20, COFRE_NO_TIME, 0644, 8);
    assert_false(
        entries_same_content(&stream, &(struct entries_item){.kind = COFRE_FILE, .size = 20, .mtime = COFRE_NO_TIME}));
}

static void test_patterns(void **state)
{
    (void)state;
    const struct {
        const char *pattern, *path;
        bool matches;
    } cases[] = {
        {"b", "a/b", true},      {"b", "b", true},          {"b", "b/a", false},      {"*", "", true},
        {"[ab]?", "x/a1", true}, {"*.tmp", "a/.tmp", true}, {"a/b", "a/b", true},     {"a/b", "x/a/b", true},
        {"a/b", "xa/b", false},  {"a/b", "a/b/c", false},   {"/a/b", "a/b", true},    {"/a/b", "x/a/b", false},
        {"/b", "a/b", false},    {"*/b", "a/b", true},      {"/*/b", "x/a/b", false}, {"a/*", "a/b/c", false},
        {"\\*", "a/*", true},    {"\\*", "a/x", false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++)
        if (find_matches(cases[i].pattern, cases[i].path, strlen(cases[i].path)) != cases[i].matches)
            fail_msg("%s of %s", cases[i].pattern, cases[i].path);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_a_million_entries_in_little_memory),
        cmocka_unit_test(test_what_is_the_same),
        cmocka_unit_test(test_patterns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
