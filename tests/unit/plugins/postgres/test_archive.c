#include <stdarg.h>
#include <setjmp.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <cmocka.h>

#include "postgres/archive.h"
#include "postgres/namelist.h"

struct dump {
    uint8_t *bytes;
    size_t length;
};

static struct dump load(const char *path)
{
    struct dump d = {.bytes = malloc(1 << 20)};
    FILE *file = fopen(path, "rb");
    assert_non_null(file);
    assert_non_null(d.bytes);
    d.length = fread(d.bytes, 1, 1 << 20, file);
    assert_int_equal(fclose(file), 0);
    assert_true(d.length > 1000);
    return d;
}

/* The verdict on the first `length` bytes, given in pieces. */
static int32_t judge(const struct dump *d, size_t length, size_t piece, struct cofre_error *error)
{
    struct archive *a = archive_new();
    assert_non_null(a);
    int32_t status = COFRE_OK;
    for (size_t at = 0; status == COFRE_OK && at < length; at += piece)
        status = archive_feed(a, d->bytes + at, length - at < piece ? length - at : piece, error);
    if (status == COFRE_OK)
        status = archive_finish(a, error);
    archive_free(a);
    return status;
}

static void test_contents(void **state)
{
    (void)state;
    static const struct {
        const char *schema, *name;
        int64_t rows;
    } tables[] = {{"s", "three", 3}, {"public", "none", 0}, {"public", "odd \"name", 1}};
    struct dump d = load(DUMPS "tables-and-objects");
    struct cofre_error error = {.struct_size = sizeof error};
    struct archive *a = archive_new();
    assert_int_equal(archive_feed(a, d.bytes, d.length, &error), COFRE_OK);
    assert_int_equal(archive_finish(a, &error), COFRE_OK);
    size_t count, found = 0, objects = 0;
    const struct archive_item *items = archive_items(a, &count);
    for (size_t i = 0; i < count; i++) {
        objects += !items[i].is_table;
        for (size_t k = 0; k < 3 && items[i].is_table; k++)
            if (strcmp(items[i].name, tables[k].name) == 0) {
                found++;
                assert_string_equal(items[i].schema, tables[k].schema);
                assert_int_equal(items[i].rows, tables[k].rows);
            }
    }
    assert_int_equal(count, 4);
    assert_int_equal(found, 3);
    assert_int_equal(objects, 1);
    assert_true(namelist_has(archive_owners(a), "postgres"));
    assert_true(namelist_has(archive_schemas(a), "s"));
    archive_free(a);
    free(d.bytes);
}

/* Every block is where the reader says that it begins, and the table of contents has room for that. */
static void test_offsets(void **state)
{
    (void)state;
    struct dump d = load(DUMPS "tables-and-objects");
    struct cofre_error error = {.struct_size = sizeof error};
    struct archive *a = archive_new();
    for (size_t at = 0; at < d.length; at += 7)
        assert_int_equal(archive_feed(a, d.bytes + at, d.length - at < 7 ? d.length - at : 7, &error), COFRE_OK);
    size_t count;
    const struct archive_item *items = archive_items(a, &count);
    for (size_t i = 0; i < count; i++) {
        uint8_t offset[ARCHIVE_OFFSET_MAX];
        const uint8_t *block = d.bytes + items[i].begins_at, *room = d.bytes + items[i].offset_at;
        /* The kind, and the id as an integer of a sign and four bytes. */
        assert_int_equal(block[0], items[i].is_table ? 1 : 3);
        assert_int_equal(block[1], 0);
        assert_int_equal(block[2] | block[3] << 8 | block[4] << 16 | block[5] << 24, items[i].id);
        assert_int_equal(archive_offset(a, &items[i], offset), 9);
        /* This dump was written into a file, so pg_dump could say it itself. */
        assert_memory_equal(room, offset, 9);
    }
    archive_free(a);
    free(d.bytes);
}

/* Wherever it is cut, it is not whole; however it is cut into pieces, it comes to the same. */
static void test_cut_anywhere(void **state)
{
    (void)state;
    struct dump d = load(DUMPS "tables-and-objects");
    struct cofre_error error = {.struct_size = sizeof error};
    for (size_t length = 0; length < d.length; length++) {
        error.message[0] = '\0';
        if (judge(&d, length, length ? length : 1, &error) == COFRE_OK)
            fail_msg("cut at %zu of %zu", length, d.length);
        assert_true(error.message[0] != '\0');
    }
    for (size_t piece = 1; piece < 100; piece++)
        assert_int_equal(judge(&d, d.length, piece, &error), COFRE_OK);
    free(d.bytes);
}

static void test_more_than_there_is(void **state)
{
    (void)state;
    struct dump d = load(DUMPS "tables-and-objects");
    struct cofre_error error = {.struct_size = sizeof error};
    static const uint8_t more[] = {0, 1, 3, 0xff};
    for (size_t i = 0; i < sizeof more; i++) {
        d.bytes[d.length] = more[i];
        assert_int_not_equal(judge(&d, d.length + 1, d.length + 1, &error), COFRE_OK);
    }
    for (size_t i = 0; i < d.length; i++)
        d.bytes[d.length + i] = d.bytes[i];
    assert_int_not_equal(judge(&d, 2 * d.length, 4096, &error), COFRE_OK);
    free(d.bytes);
}

static void test_other_dumps(void **state)
{
    (void)state;
    struct cofre_error error = {.struct_size = sizeof error};
    struct dump none = load(DUMPS "no-data"), compressed = load(DUMPS "compressed");
    assert_int_equal(judge(&none, none.length, 1, &error), COFRE_OK);
    assert_int_equal(judge(&compressed, compressed.length, 1, &error), COFRE_OK);
    compressed.bytes[5] = 9;
    assert_int_not_equal(judge(&compressed, compressed.length, 4096, &error), COFRE_OK);
    assert_non_null(strstr(error.message, "version or format"));
    free(none.bytes);
    free(compressed.bytes);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_contents),     cmocka_unit_test(test_offsets),
        cmocka_unit_test(test_cut_anywhere), cmocka_unit_test(test_more_than_there_is),
        cmocka_unit_test(test_other_dumps),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
