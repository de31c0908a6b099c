/* What the file of a hold says: one JSON object. */
#ifndef COFRE_ATTEMPT_UNDO_TEXT_H
#define COFRE_ATTEMPT_UNDO_TEXT_H

#include <stddef.h>

#include "attempt/undo.h"

struct plugin_info;

struct undo_text {
    enum undo_what what;
    char *source, *plugin, *job; /* "" = none */
    char **overrides;            /* "key=value"; none that is a literal secret */
    size_t override_count;
    struct hook *hook; /* UNDO_HOOK, else NULL */
};

/* undo_text_free, also after an error. */
int undo_text_make(const struct undo_spec *spec, const struct plugin_info *plugin, struct undo_text *text,
                   struct error *e);
int undo_text_make_hook(const struct hook *hook, struct undo_text *text, struct error *e);
void undo_text_free(struct undo_text *text);

/* The file's content; NULL = out of memory. */
char *undo_text_encode(const struct undo_text *text);
/* ERROR_INTEGRITY when it is damaged, with the way out as hint. */
int undo_text_read(const char *path, struct undo_text *text, struct error *e);

#define UNDO_TEXT_WHAT 400
/* "the freeze of source 'x'", "the stop of services by plugin 'p'" into out[UNDO_TEXT_WHAT]. Returns out. */
const char *undo_text_name(const struct undo_text *text, char *out);
/* The same with job and id: "the freeze of source 'x' (job 'j', ID)". */
const char *undo_text_describe(const struct undo_text *text, const char *id, char *out);

#endif
