/* What a tarball writes, untar reads; and what untar could not read, a tarball does not write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <cofre/plugin.h>
#include <stdio.h>
#include <string.h>

#include "archive/tarball.h"
#include "archive/untar.h"
#include "base/bytes.h"
#include "base/error.h"
#include "snapshot/entry.h"

#define VALUE 65000

static int take(void *context, const void *p, size_t n, struct error *e)
{
    struct bytes *out = context;
    bytes_put(out, p, n);
    return bytes_check(out, "tar", e);
}

struct reading {
    const struct bytes *from;
    size_t at;
};

static int give(void *context, void *p, size_t n, size_t *got, struct error *e)
{
    struct reading *r = context;
    size_t left = r->from->length - r->at;
    (void)e;
    *got = n < left ? n : left;
    memcpy(p, r->from->data + r->at, *got);
    r->at += *got;
    return 0;
}

/* One directory with so many attributes of VALUE bytes: into a tar archive, and out of it. */
static int write_one(size_t count, struct bytes *out, struct error *e)
{
    static char names[64][16], value[VALUE];
    struct snapshot_attribute attributes[64];
    struct tarball *tarball;
    struct tarball_kept kept;
    for (size_t i = 0; i < count; i++) {
        snprintf(names[i], sizeof names[i], "user.%zu", i);
        attributes[i] = (struct snapshot_attribute){.name = names[i], .value = value, .length = VALUE};
    }
    const struct snapshot_entry entry = {.kind = COFRE_DIRECTORY,
                                         .path = "d",
                                         .path_length = 1,
                                         .mode = 0755,
                                         .mtime = COFRE_NO_TIME,
                                         .attributes = attributes,
                                         .attribute_count = count};
    assert_int_equal(tarball_new(take, out, &tarball, e), 0);
    int result = tarball_entry(tarball, &entry, e);
    if (result == 0)
        result = tarball_end(tarball, TARBALL_WHOLE, &kept, e);
    if (result == 0)
        result = tarball_finish(tarball, e);
    tarball_free(tarball);
    return result;
}

static size_t read_one(const struct bytes *from)
{
    struct reading reading = {.from = from};
    struct snapshot_entry entry;
    struct untar *untar;
    struct error e;
    bool end;
    assert_int_equal(untar_new(give, &reading, &untar, &e), 0);
    assert_int_equal(untar_next(untar, &entry, &end, &e), 0);
    assert_false(end);
    size_t count = entry.attribute_count;
    for (size_t i = 0; i < count; i++)
        assert_int_equal(entry.attributes[i].length, VALUE);
    assert_int_equal(untar_next(untar, &entry, &end, &e), 0);
    assert_true(end);
    untar_free(untar);
    return count;
}

static void test_attributes_up_to_what_can_be_read(void **state)
{
    (void)state;
    for (size_t count = 0; count < 40; count++) {
        AUTO_BYTES struct bytes out = {.maximum = (size_t)8 << 20};
        struct error e;
        if (write_one(count, &out, &e) == 0)
            assert_int_equal(read_one(&out), count);
        else
            assert_true(e.class == ERROR_UNSUPPORTED && count > 14);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_attributes_up_to_what_can_be_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
