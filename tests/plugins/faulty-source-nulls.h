/* Of faulty-source: what is given to the host's services. */
#ifndef TESTS_PLUGINS_FAULTY_SOURCE_NULLS_H
#define TESTS_PLUGINS_FAULTY_SOURCE_NULLS_H

/* The host's services, each without what it cannot do without. */
static int32_t null_entry(struct cofre_call *call, struct cofre_error *error)
{
    return cofre->entry(call, NULL, error);
}

static int32_t null_path(struct cofre_call *call, struct cofre_error *error)
{
    struct cofre_entry entry = {.struct_size = sizeof entry, .kind = COFRE_FILE, .path_length = 1};
    return cofre->entry(call, &entry, error);
}

static int32_t null_unchanged(struct cofre_call *call, struct cofre_error *error)
{
    (void)error;
    return cofre->unchanged(call, NULL, 1, "f", 1);
}

static int32_t null_missing(struct cofre_call *call, struct cofre_error *error)
{
    return cofre->missing(call, NULL, 1, COFRE_E_DENIED, NULL, error);
}

static int32_t null_reserve(struct cofre_call *call, struct cofre_error *error)
{
    TRY(announce(call, COFRE_FILE, "b", error));
    return cofre->reserve(call, NULL, NULL, error);
}

static int32_t null_error(struct cofre_call *call, struct cofre_error *error)
{
    (void)error;
    return cofre->end(call, COFRE_OK, NULL, NULL);
}

static int32_t null_cancelled(struct cofre_call *call, struct cofre_error *error)
{
    (void)error;
    return cofre->cancelled(call, NULL);
}

static int32_t null_directory(struct cofre_call *call, struct cofre_error *error)
{
    return cofre->directory(call, NULL, error);
}

static int32_t end_odd(struct cofre_call *call, struct cofre_error *error)
{
    TRY(announce(call, COFRE_FILE, "b", error));
    return cofre->end(call, COFRE_UNCHANGED, NULL, error);
}

static int32_t missing_odd(struct cofre_call *call, struct cofre_error *error)
{
    return cofre->missing(call, "b", 1, -1, NULL, error);
}

/* As of a level before the first. */
static int32_t short_entry(struct cofre_call *call, struct cofre_error *error)
{
    struct cofre_entry entry = {.struct_size = sizeof entry - 1, .kind = COFRE_FILE, .path = "b", .path_length = 1};
    return cofre->entry(call, &entry, error);
}

/* Allowed: of a later level, with attributes of a later level, too. */
static int32_t long_entry(struct cofre_call *call, struct cofre_error *error)
{
    static const struct {
        struct cofre_attribute known;
        uint64_t more;
    } attributes[2] = {{{"user.a", "1", 1}, UINT64_MAX}, {{"user.b", "22", 2}, UINT64_MAX}};
    const struct {
        struct cofre_entry known;
        uint64_t more;
    } entry = {{.struct_size = sizeof entry,
                .kind = COFRE_FILE,
                .path = "b",
                .path_length = 1,
                .attributes = &attributes[0].known,
                .attribute_count = 2,
                .attribute_stride = sizeof attributes[0]},
               UINT64_MAX};
    TRY(cofre->entry(call, &entry.known, error));
    return cofre->end(call, COFRE_OK, NULL, error);
}

static int32_t entry_flags(struct cofre_call *call, struct cofre_error *error)
{
    struct cofre_entry entry = {
        .struct_size = sizeof entry, .kind = COFRE_FILE, .flags = 1u << 30, .path = "b", .path_length = 1};
    return cofre->entry(call, &entry, error);
}

static int32_t fact_flags(struct cofre_call *call, struct cofre_error *error)
{
    return cofre->fact(call, "key", "value", 1u << 30, error);
}

static int32_t fact_both(struct cofre_call *call, struct cofre_error *error)
{
    return cofre->fact(call, "key", "1", COFRE_FACT_MUST_MATCH | COFRE_FACT_MAY_GROW, error);
}

#endif
