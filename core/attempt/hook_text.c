#include <stdlib.h>
#include <string.h>

#include "attempt/hook.h"
#include "base/error.h"
#include "base/text.h"
#include "snapshot/manifest_text.h"

json_t *hook_encode(const struct hook *hook)
{
    json_t *words = manifest_text_list(hook->words, hook->word_count);
    return words ? json_pack("{s:s, s:s, s:o, s:I, s:O}", "hook", config_hook_names[hook->kind], "job", hook->job,
                             "words", words, "timeout", (json_int_t)hook->timeout, "record", hook->record)
                 : NULL;
}

int hook_decode(const json_t *json, struct hook *hook)
{
    const char *name, *job;
    json_t *words, *record;
    json_int_t timeout;
    size_t kind = 0;
    struct error e;
    *hook = (struct hook){0};
    if (json_unpack((json_t *)(uintptr_t)json, "{s:s, s:s, s:o, s:I, s:o}", "hook", &name, "job", &job, "words", &words,
                    "timeout", &timeout, "record", &record) < 0 ||
        timeout <= 0 || !json_is_object(record))
        return -1;
    while (kind < CONFIG_HOOKS && strcmp(config_hook_names[kind], name) != 0)
        kind++;
    if (kind == CONFIG_HOOKS)
        return -1;
    hook->kind = (enum config_hook_kind)kind;
    hook->timeout = timeout;
    hook->job = text_copy(job);
    hook->record = json_incref(record);
    if (hook->job && manifest_text_unlist(words, &hook->words, &hook->word_count, &e) == 0 && hook->word_count > 0)
        return 0;
    hook_free(hook);
    return -1;
}
