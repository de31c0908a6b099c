#include <stdlib.h>
#include <string.h>

#include "base/file.h"
#include "base/text.h"
#include "job/hook.h"
#include "snapshot/manifest_text.h"

/* Words may hold any byte. */
static json_t *encode_words(const struct hook *hook)
{
    json_t *words = json_array();
    for (size_t i = 0; words && i < hook->word_count; i++) {
        AUTO_FREE char *word = manifest_text_escape(hook->words[i]);
        if (!word || json_array_append_new(words, json_string(word)) < 0) {
            json_decref(words);
            return NULL;
        }
    }
    return words;
}

json_t *hook_encode(const struct hook *hook)
{
    json_t *words = encode_words(hook);
    return words ? json_pack("{s:s, s:s, s:o, s:I, s:O}", "hook", config_hook_names[hook->kind], "job", hook->job,
                             "words", words, "timeout", (json_int_t)hook->timeout, "record", hook->record)
                 : NULL;
}

static int decode_words(const json_t *words, struct hook *hook)
{
    hook->words = calloc(json_array_size(words) + 1, sizeof(char *));
    for (size_t i = 0; hook->words && i < json_array_size(words); i++) {
        const char *word = json_string_value(json_array_get(words, i));
        char *copy = word ? text_copy(word) : NULL;
        if (!copy)
            return -1;
        hook->words[hook->word_count++] = copy;
        if (!manifest_text_unescape(copy))
            return -1;
    }
    return hook->words && hook->word_count > 0 ? 0 : -1;
}

int hook_decode(const json_t *json, struct hook *hook)
{
    const char *name, *job;
    json_t *words, *record;
    json_int_t timeout;
    size_t kind = 0;
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
    if (hook->job && decode_words(words, hook) == 0)
        return 0;
    hook_free(hook);
    return -1;
}
