/* What the file of a hold says: one JSON object. */
#ifndef COFRE_JOB_HOLD_TEXT_H
#define COFRE_JOB_HOLD_TEXT_H

#include <stddef.h>

#include "job/hold.h"

struct plugin_info;

struct hold_text {
    enum hold_what what;
    char *source, *plugin, *job; /* "" = none */
    char **overrides;            /* "key=value"; none that is a literal secret */
    size_t override_count;
};

/* hold_text_free, also after an error. */
int hold_text_make(const struct hold_spec *spec, const struct plugin_info *plugin, struct hold_text *text,
                   struct error *e);
void hold_text_free(struct hold_text *text);

/* The file's content; NULL = out of memory. */
char *hold_text_encode(const struct hold_text *text);
/* ERROR_INTEGRITY when it is damaged, with the way out as hint. */
int hold_text_read(const char *path, struct hold_text *text, struct error *e);

#define HOLD_TEXT_WHAT 400
/* "the freeze of source 'x'", "the stop of services by plugin 'p'" into out[HOLD_TEXT_WHAT]. Returns out. */
const char *hold_text_name(const struct hold_text *text, char *out);
/* The same with job and id: "the freeze of source 'x' (job 'j', ID)". */
const char *hold_text_describe(const struct hold_text *text, const char *id, char *out);

#endif
