#include "job/leftover.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attempt/attempt.h"
#include "attempt/records.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "config/config.h"
#include "worker/worker.h"

#define FILE_MAX ((size_t)4 << 20) /* bytes */

static int find_directory(const struct config *config, char out[PATH_MAX], struct error *e)
{
    if (snprintf(out, PATH_MAX, "%s/leftovers", config->state_dir) < PATH_MAX - 128)
        return 0;
    return error_set(e, ERROR_CONFIG, "state_dir '%s' is too long", config->state_dir);
}

int leftover_read(const struct config *config, const char *source, json_t **list, struct error *e)
{
    AUTO_BYTES struct bytes text = {.maximum = FILE_MAX};
    char directory[PATH_MAX], path[PATH_MAX];
    *list = NULL;
    if (find_directory(config, directory, e) < 0)
        return -1;
    snprintf(path, sizeof path, "%.*s/%.64s", PATH_MAX - 80, directory, source);
    int read = file_read_own(path, FILE_MAX, &text, e);
    if (read < 0 && e->class != ERROR_NOT_FOUND)
        return -1;
    *list = read < 0 ? json_array() : json_loadb((const char *)text.data, text.length, 0, NULL);
    if (read < 0 && !*list)
        return error_memory(e);
    if (json_is_array(*list))
        return 0;
    json_decref(*list);
    *list = NULL;
    error_set(e, ERROR_INTEGRITY, "'%s' is damaged", path);
    return error_hint(e, "remove it; 'cofre check %s' makes it anew", source);
}

static int save(const struct config *config, const char *source, const json_t *list, struct error *e)
{
    char directory[PATH_MAX], path[PATH_MAX];
    AUTO_FREE char *text = json_dumps(list, JSON_INDENT(1));
    if (!text)
        return error_memory(e);
    if (find_directory(config, directory, e) < 0 || file_make_trusted(directory, e) < 0)
        return -1;
    snprintf(path, sizeof path, "%.*s/%.64s", PATH_MAX - 80, directory, source);
    return file_write(path, text, strlen(text), FILE_REPLACE, e);
}

static const json_t *find(const json_t *list, const char *what)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (records_is(json_array_get(list, i), "what", what))
            return json_array_get(list, i);
    return NULL;
}

/* Since it was named first. */
static int add(json_t *list, const json_t *before, const struct worker_leftover *one, struct error *e)
{
    char now[CLOCK_TEXT_MAX];
    json_t *what = attempt_json(one->what);
    const json_t *known = what ? find(before, json_string_value(what)) : NULL;
    const char *since = known ? records_text(known, "since") : NULL;
    if (what && find(list, json_string_value(what))) {
        json_decref(what);
        return 0;
    }
    json_t *made = json_pack("{s:o, s:o, s:s}", "what", what, "removal", attempt_json(one->removal), "since",
                             since ? since : clock_format_exact(clock_now(), now));
    return json_array_append_new(list, made) < 0 ? error_memory(e) : 0;
}

/* What is damaged is made anew, from what is named now. */
static int note(const struct config *config, const char *source, const struct worker *worker, bool all, struct error *e)
{
    size_t count;
    const struct worker_leftover *named = worker_leftovers(worker, &count);
    json_t *before;
    if (leftover_read(config, source, &before, e) < 0) {
        if (e->class != ERROR_INTEGRITY)
            return -1;
        before = json_null();
    }
    json_t *list = all || !json_is_array(before) ? json_array() : json_copy(before);
    int result = list ? 0 : error_memory(e);
    for (size_t i = 0; i < count && result == 0; i++)
        result = add(list, before, &named[i], e);
    if (result == 0 && !json_equal(list, before))
        result = save(config, source, list, e);
    json_decref(list);
    json_decref(before);
    return result;
}

void leftover_note(const struct config *config, const char *source, const struct worker *worker, bool all)
{
    struct error e;
    if (!config || !config->state_dir || note(config, source, worker, all, &e) == 0)
        return;
    error_consequence(&e, "status will not know what restores of source '%s' have left: ", source);
    log_error(LOG_WARNING, &e);
}
