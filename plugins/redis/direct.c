#include "redis/direct.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "redis/link.h"

#define SETTING "repl-diskless-load"
#define OFF "disabled"
#define ON "on-empty-db"
#define DATABASES_MAX (UINT64_C(1) << 24)

/* A refusal is an answer; that there is none is an error. */
static bool is_answer(int32_t class)
{
    return class != COFRE_E_RETRY && class != COFRE_E_TIMEOUT && class != COFRE_E_CANCELLED;
}

static int32_t read_setting(struct link *link, struct cofre_call *call, char value[DIRECT_VALUE],
                            struct cofre_error *error)
{
    struct redisReply *reply;
    value[0] = '\0';
    int32_t class = link_command(link, call, &reply, error, LINK_WORDS("CONFIG", "GET", SETTING));
    if (class != COFRE_OK)
        return class;
    if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 2 && reply->element[1]->str)
        snprintf(value, DIRECT_VALUE, "%s", reply->element[1]->str);
    freeReplyObject(reply);
    return COFRE_OK;
}

int32_t direct_look(struct link *link, struct cofre_call *call, char before[DIRECT_VALUE], struct cofre_error *error)
{
    struct cofre_error why = {.struct_size = sizeof why};
    int32_t class = read_setting(link, call, before, &why);
    if (strcmp(before, OFF) != 0)
        snprintf(before, DIRECT_VALUE, DIRECT_NONE);
    if (is_answer(class))
        return COFRE_OK;
    *error = why;
    return class;
}

int32_t direct_begin(struct link *link, struct cofre_call *call, struct cofre_error *error)
{
    struct cofre_error why = {.struct_size = sizeof why};
    int32_t class = link_do(link, call, &why, LINK_WORDS("CONFIG", "SET", SETTING, ON));
    if (is_answer(class))
        return COFRE_OK;
    *error = why;
    return class;
}

int32_t direct_end(struct link *link, struct cofre_call *call, const char *before, struct cofre_error *error)
{
    char now[DIRECT_VALUE];
    if (strcmp(before, DIRECT_NONE) == 0)
        return COFRE_OK;
    int32_t class = read_setting(link, call, now, error);
    if (class != COFRE_OK || strcmp(now, ON) != 0)
        return class;
    return link_do(link, call, error, LINK_WORDS("CONFIG", "SET", SETTING, before));
}

/* *there: it has this database. Whoever may not SELECT is not told. */
static int32_t try_database(struct link *link, struct cofre_call *call, uint64_t number, bool *there, bool *told,
                            struct cofre_error *error)
{
    char text[24];
    struct cofre_error why = {.struct_size = sizeof why};
    snprintf(text, sizeof text, "%" PRIu64, number);
    int32_t class = link_do(link, call, &why, LINK_WORDS("SELECT", text));
    *there = class == COFRE_OK;
    *told = class == COFRE_OK || class == COFRE_E_PERMANENT;
    if (is_answer(class))
        return COFRE_OK;
    *error = why;
    return class;
}

int32_t direct_databases(struct link *link, struct cofre_call *call, uint64_t *count, struct cofre_error *error)
{
    /* It has the first, and not the second; doubled first, then halved. */
    uint64_t has = 0, lacks = DATABASES_MAX;
    bool there, told;
    *count = 0;
    for (uint64_t number = 1; lacks - has > 1;) {
        int32_t class = try_database(link, call, number, &there, &told, error);
        if (class != COFRE_OK || !told)
            return class;
        *(there ? &has : &lacks) = number;
        number = lacks == DATABASES_MAX ? 2 * number : has + (lacks - has) / 2;
        number = number < DATABASES_MAX ? number : DATABASES_MAX - 1;
    }
    *count = has + 1;
    return COFRE_OK;
}
