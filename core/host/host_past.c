#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "host/host.h"

#define HERE (HOST_IN(WIRE_BACKUP) | HOST_IN(WIRE_RESTORE))
#define FACTS_MAX 1000000

static int32_t take_fact(struct cofre_call *call, struct cofre_error *error)
{
    struct channel_frame frame;
    int32_t class = host_receive(call, &frame, error);
    if (class != COFRE_OK)
        return class;
    struct cursor c = cursor_of(frame.payload, frame.length);
    const char *key = wire_text_required(&c, WIRE_MAX_NAME, NULL);
    const char *value = wire_text_required(&c, WIRE_MAX_VALUE, NULL);
    if (frame.type != WIRE_FACT || !cursor_done(&c))
        return cofre_fail(error, COFRE_E_BUG, "%s: the engine sent a malformed fact", wire_call_name(call->kind));
    struct host_fact *fact = &call->facts[call->fact_count++];
    *fact = (struct host_fact){.key = text_copy(key), .value = text_copy(value)};
    return fact->key && fact->value ? COFRE_OK : cofre_fail(error, COFRE_E_MEMORY, "out of memory");
}

int32_t host_past_take(struct cofre_call *call, struct cursor *arguments, struct cofre_error *error)
{
    call->snapshot = wire_text(arguments, COFRE_MAX_ID, NULL);
    uint64_t count = cursor_u64(arguments);
    if (arguments->failed || count > FACTS_MAX)
        return cofre_fail(error, COFRE_E_BUG, "%s: the engine sent malformed arguments", wire_call_name(call->kind));
    call->facts = calloc((size_t)count + 1, sizeof *call->facts);
    if (!call->facts)
        return cofre_fail(error, COFRE_E_MEMORY, "out of memory");
    int32_t class = COFRE_OK;
    for (uint64_t i = 0; class == COFRE_OK && i < count; i++)
        class = take_fact(call, error);
    return class;
}

void host_past_forget(struct cofre_call *call)
{
    for (uint64_t i = 0; i < call->fact_count; i++) {
        free(call->facts[i].key);
        free(call->facts[i].value);
    }
    free(call->facts);
    call->facts = NULL;
    call->fact_count = 0;
}

const char *host_past_snapshot(struct cofre_call *call)
{
    return call->snapshot ? call->snapshot : "";
}

int32_t host_past_recorded(struct cofre_call *call, uint64_t index, const char **key, const char **value,
                           struct cofre_error *error)
{
    int32_t class = host_enter(call, HERE, "recorded", error);
    if (class != COFRE_OK)
        return class;
    if (!key || !value)
        return host_broke(call, error, "asked for a recorded fact without a place for key or value");
    if (index >= call->fact_count)
        return COFRE_END;
    *key = call->facts[index].key;
    *value = call->facts[index].value;
    return COFRE_OK;
}
