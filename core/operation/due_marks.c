#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "attempt/records.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/file.h"
#include "base/log.h"
#include "config/config.h"
#include "operation/due.h"

#define MARKS_MAX ((size_t)1 << 20)     /* bytes */
#define LOOKED_EVERY (300 * DUE_SECOND) /* so often it is written that somebody looks */

const char *due_command(enum due_what what)
{
    static const char *const commands[] = {
        [DUE_RUN] = "run", [DUE_VERIFY] = "verify", [DUE_PRUNE] = "prune", [DUE_GC] = "gc"};
    return commands[what];
}

const char *due_name(const struct due_thing *thing, char *out)
{
    snprintf(out, DUE_NAME_MAX, "%s %s", due_command(thing->what), thing->job ? thing->job->name : thing->sink->name);
    return out;
}

/* ---- the file ---- */

/* What can be understood of it. */
static bool take(struct due_marks *marks, const struct bytes *text)
{
    json_t *all = json_loadb((const char *)text->data, text->length, JSON_REJECT_DUPLICATES, NULL);
    json_t *things = json_object_get(all, "things");
    bool good = json_is_object(things);
    if (good) {
        json_decref(marks->things);
        marks->things = json_incref(things);
        marks->looked = marks->written = records_time(all, "looked");
    }
    json_decref(all);
    return good;
}

int due_marks_load(const struct config *config, struct due_marks *marks, struct error *e)
{
    AUTO_BYTES struct bytes text = {.maximum = MARKS_MAX};
    *marks = (struct due_marks){.looked = INT64_MIN, .written = INT64_MIN};
    if (asprintf(&marks->path, "%s/due", config->state_dir) < 0) {
        marks->path = NULL;
        return error_memory(e);
    }
    if (!(marks->things = json_object()))
        return error_memory(e);
    if (file_read_own(marks->path, MARKS_MAX, &text, e) < 0)
        return e->class == ERROR_NOT_FOUND ? 0 : -1;
    if (!take(marks, &text))
        log_line(LOG_WARNING, "'%s' is damaged, and made anew: what was missed before this moment is not caught up",
                 marks->path);
    return 0;
}

int due_marks_save(struct due_marks *marks, struct error *e)
{
    char looked[CLOCK_TEXT_MAX];
    bool told =
        marks->written != INT64_MIN && marks->written <= marks->looked && marks->looked - marks->written < LOOKED_EVERY;
    if (!marks->changed && told)
        return 0;
    json_t *all = json_pack("{s:s, s:O}", "looked", clock_format_exact(marks->looked, looked), "things", marks->things);
    AUTO_FREE char *text = all ? json_dumps(all, JSON_INDENT(1)) : NULL;
    json_decref(all);
    if (!text)
        return error_memory(e);
    if (file_write(marks->path, text, strlen(text), FILE_REPLACE, e) < 0)
        return error_context(e, "what is due cannot be begun, as that could not be noted: ");
    marks->changed = false;
    marks->written = marks->looked;
    return 0;
}

void due_marks_free(struct due_marks *marks)
{
    free(marks->path);
    json_decref(marks->things);
    *marks = (struct due_marks){.looked = INT64_MIN};
}

int64_t due_looked(const struct config *config)
{
    struct due_marks marks;
    struct error ignored;
    int64_t looked = due_marks_load(config, &marks, &ignored) == 0 ? marks.looked : INT64_MIN;
    due_marks_free(&marks);
    return looked;
}

/* ---- one mark ---- */

int due_mark(struct due_marks *marks, const char *name, int64_t since, struct error *e)
{
    char when[CLOCK_TEXT_MAX];
    json_t *mark = json_object_get(marks->things, name);
    if (!mark)
        return 0;
    if (json_object_set_new(mark, "since", json_string(clock_format_exact(since, when))) < 0)
        return error_memory(e);
    marks->changed = true;
    return due_marks_save(marks, e);
}
