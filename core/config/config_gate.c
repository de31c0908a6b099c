/* The publish gate: what a section says of how small a source may be. */
#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "config/config.h"
#include "config/config_build.h"
#include "config/section.h"

#define SHRINK 50 /* % */

static int bad_shrink(const struct section *s, const char *text, struct error *e)
{
    error_set(e, ERROR_CONFIG, "'shrink': '%.40s' is neither 1%% to 99%% nor off", text);
    error_hint(e, "write by how much a source may shrink before its snapshot is suspect, such as 50%%");
    return section_error_at_key(section_find(s, "shrink"), e);
}

int config_gate_shrink(int64_t *shrink, const struct section *s, const struct option *own, struct error *e)
{
    struct option_value v;
    char *end = NULL;
    *shrink = CONFIG_SHRINK_UNSET;
    if (section_value(s, own, "shrink", &v, e) < 0)
        return -1;
    if (!v.text)
        return 0;
    bool off = strcmp(v.text, "off") == 0, digit = v.text[0] >= '0' && v.text[0] <= '9';
    long percent = digit ? strtol(v.text, &end, 10) : 0;
    bool good = off || (percent >= 1 && percent <= 99 && strcmp(end, "%") == 0);
    *shrink = percent;
    int result = good ? 0 : bad_shrink(s, v.text, e);
    option_value_free(&v);
    return result;
}

int64_t config_shrink_of(const struct config_job *job, const struct config_instance *source)
{
    if (source->shrink != CONFIG_SHRINK_UNSET)
        return source->shrink;
    return job->shrink != CONFIG_SHRINK_UNSET ? job->shrink : SHRINK;
}
