/* The least that a sink must have, for plugins that are wrong in their description. */
#ifndef TESTS_PLUGINS_MINIMAL_H
#define TESTS_PLUGINS_MINIMAL_H

#include <cofre/plugin.h>

#ifndef MINIMAL_CAPABILITIES
#define MINIMAL_CAPABILITIES 0
#endif

static int32_t minimal_open(struct cofre_call *call, const void *conf, void **instance, struct cofre_error *error)
{
    (void)call;
    (void)conf;
    (void)error;
    *instance = NULL;
    return COFRE_OK;
}

static void minimal_close(void *instance)
{
    (void)instance;
}

static int32_t minimal_check(void *instance, struct cofre_call *call, int32_t depth, struct cofre_error *error)
{
    (void)instance;
    (void)call;
    (void)depth;
    (void)error;
    return COFRE_OK;
}

static int32_t minimal_put(void *instance, struct cofre_call *call, const char *key, const struct cofre_put *put,
                           struct cofre_error *error)
{
    (void)instance;
    (void)call;
    (void)put;
    return cofre_fail(error, COFRE_E_UNSUPPORTED, "put '%s': not here", key);
}

static int32_t minimal_get(void *instance, struct cofre_call *call, const char *key, int64_t offset, int64_t length,
                           struct cofre_error *error)
{
    (void)instance;
    (void)call;
    (void)offset;
    (void)length;
    return cofre_fail(error, COFRE_E_NOT_FOUND, "get '%s': not here", key);
}

static int32_t minimal_stat(void *instance, struct cofre_call *call, const char *key, struct cofre_object *object,
                            struct cofre_error *error)
{
    (void)instance;
    (void)call;
    (void)object;
    return cofre_fail(error, COFRE_E_NOT_FOUND, "stat '%s': not here", key);
}

static int32_t minimal_list(void *instance, struct cofre_call *call, const char *prefix, const void *cursor,
                            size_t length, struct cofre_error *error)
{
    (void)instance;
    (void)call;
    (void)prefix;
    (void)cursor;
    (void)length;
    (void)error;
    return COFRE_OK;
}

static int32_t minimal_remove(void *instance, struct cofre_call *call, const char *key, struct cofre_error *error)
{
    (void)instance;
    (void)call;
    (void)key;
    (void)error;
    return COFRE_OK;
}

static const struct cofre_sink minimal_sink = {
    .struct_size = sizeof minimal_sink,
    .capabilities = MINIMAL_CAPABILITIES,
    .open = minimal_open,
    .close = minimal_close,
    .check = minimal_check,
    .put = minimal_put,
    .get = minimal_get,
    .stat = minimal_stat,
    .list = minimal_list,
    .remove = minimal_remove,
};

#endif
