/* A place to work in, and the plugin `directory` opened on it. */
#ifndef COFRE_TESTS_FIXTURE_H
#define COFRE_TESTS_FIXTURE_H

#include <stdint.h>

#include "host.h"

struct fixture {
    char place[64]; /* an empty directory, removed at the end */
    void *conf;     /* the plugin's struct, by its option table */
    struct cofre_error error;
    struct cofre_call call; /* of the last backup; feed of the next restore */
};

/* For cmocka: setup and teardown. state is a struct fixture. */
int fixture_begin(void **state);
int fixture_end(void **state);

/* Run a shell command in the place; the test fails when it fails. */
void fixture_shell(const struct fixture *f, const char *format, ...) __attribute__((format(printf, 2, 3)));

void fixture_set_text(struct fixture *f, const char *option, const char *value);
void fixture_set_flag(struct fixture *f, const char *option, int32_t value);
void fixture_set_list(struct fixture *f, const char *option, const char *const *items, size_t count);
/* path = PLACE/name */
void fixture_set_path(struct fixture *f, const char *name);

/* Into f->call, which is cleared before, against the snapshot previous (or NULL). */
int32_t fixture_backup(struct fixture *f, const struct cofre_call *previous);
/* From f->call. */
int32_t fixture_restore(struct fixture *f);
int32_t fixture_facts(struct fixture *f);

/* The path of a file of the place; valid until the next call. */
const char *fixture_path(const struct fixture *f, const char *name);

#endif
