#include "host/describe.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "config/config.h"
#include "host/levels.h"
#include "wire/wire.h"

#define MAX_STRUCT (1u << 20) /* bytes of a plugin's struct of options */
#define CRITICAL UINT64_C(0xffffffff00000000)
#define UNKNOWN_CAPABILITY "it needs a capability that this version of cofre does not know"

static int refuse(struct error *e, const struct describe *d, const char *what)
{
    return error_set(e, ERROR_CONFIG, "plugin '%s': %s", d->path, what);
}

/* ---- options ---- */

static const size_t type_sizes[] = {
    [OPTION_STRING] = sizeof(COFRE_CTYPE_STRING),   [OPTION_PATH] = sizeof(COFRE_CTYPE_PATH),
    [OPTION_INTEGER] = sizeof(COFRE_CTYPE_INTEGER), [OPTION_BOOLEAN] = sizeof(COFRE_CTYPE_BOOLEAN),
    [OPTION_SIZE] = sizeof(COFRE_CTYPE_SIZE),       [OPTION_DURATION] = sizeof(COFRE_CTYPE_DURATION),
    [OPTION_CHOICE] = sizeof(COFRE_CTYPE_CHOICE),   [OPTION_LIST] = sizeof(COFRE_CTYPE_LIST),
    [OPTION_SECRET] = sizeof(COFRE_CTYPE_SECRET),
};

/* What the engine itself takes from a section: in those of sinks and notifiers more than in those of sources. */
static bool reserved(const char *name, enum plugin_role role)
{
    static const char *const names[] = {"plugin",        "key",         "encryption", "format", "timeout",
                                        "stall_timeout", "trust_hosts", "retry_for",  "run_as", "wait"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strcmp(name, names[i]) == 0)
            return true;
    for (const struct option *row = config_role_options(role); role != PLUGIN_SOURCE && row->name; row++)
        if (strcmp(name, row->name) == 0)
            return true;
    return strncmp(name, "keep_", 5) == 0;
}

static bool name_valid(const char *name)
{
    return name[0] >= 'a' && name[0] <= 'z' && name[strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789_")] == '\0' &&
           strlen(name) <= 63;
}

/* Lists and secrets may be of another level: then they are longer or shorter at their end. */
static bool size_fits(const struct cofre_option *row)
{
    return row->type == COFRE_LIST     ? row->size >= LEVELS_LIST
           : row->type == COFRE_SECRET ? row->size >= LEVELS_SECRET
                                       : row->size == type_sizes[row->type];
}

/* What flags mean beyond the row itself: in which role, and of which type. */
static const struct {
    uint32_t flag;
    enum plugin_role role;
    uint32_t type;
    const char *fault;
} meanings[] = {
    {COFRE_O_PARALLEL, PLUGIN_SINK, COFRE_INTEGER, "is no number of a sink, and so cannot say how many connections"},
    {COFRE_O_PROTECT, PLUGIN_SINK, COFRE_DURATION,
     "is no duration of a sink, and so cannot say for how long to protect"},
    {COFRE_O_READS, PLUGIN_SINK, COFRE_PATH, "is no path of a sink, and so cannot say what it only reads"},
    {COFRE_O_REPLACE, PLUGIN_SOURCE, COFRE_BOOLEAN, "is no yes or no of a source, and so cannot allow to replace"},
};
#define KNOWN_FLAGS                                                                                                    \
    (COFRE_O_REQUIRED | COFRE_O_RESTORE | COFRE_O_PARALLEL | COFRE_O_PROTECT | COFRE_O_REPLACE | COFRE_O_TRUSTED |     \
     COFRE_O_READS)

static const char *flags_fault(const struct describe *d, const struct cofre_option *row)
{
    if (row->flags & ~KNOWN_FLAGS)
        return "has unknown flags";
    for (size_t i = 0; i < sizeof meanings / sizeof meanings[0]; i++)
        if ((row->flags & meanings[i].flag) && (d->role != meanings[i].role || row->type != meanings[i].type))
            return meanings[i].fault;
    if ((row->flags & COFRE_O_REPLACE) && (!(row->flags & COFRE_O_RESTORE) || (row->flags & COFRE_O_REQUIRED)))
        return "allows to replace, and so must be free to be set at restore";
    if ((row->flags & COFRE_O_TRUSTED) && row->type != COFRE_PATH)
        return "is no path, and so is nothing that somebody could change";
    if ((row->flags & COFRE_O_PROTECT) && !d->sink.retain)
        return "protects, but the sink has no retain";
    return NULL;
}

/* Among the rows before it: of the same name, or with a flag that only one can have. */
static const char *clash(const struct describe *d, size_t i)
{
    const uint32_t single = COFRE_O_PARALLEL | COFRE_O_PROTECT | COFRE_O_REPLACE;
    for (size_t k = 0; k < i; k++) {
        if (strcmp(d->rows[k]->name, d->rows[i]->name) == 0)
            return "is declared twice";
        if (d->rows[k]->flags & d->rows[i]->flags & single)
            return "has a flag that another one has already";
    }
    return NULL;
}

static const char *row_fault(const struct cofre_option *row, uint32_t struct_bytes, enum plugin_role role)
{
    if (reserved(row->name, role))
        return "has a name that is reserved for the engine";
    if (row->type < COFRE_STRING || row->type > COFRE_SECRET)
        return "is of an unknown type";
    if (!size_fits(row))
        return "has a member of another size than its type";
    if (row->offset > struct_bytes || row->size > struct_bytes - row->offset)
        return "lies outside of the plugin's struct";
    if (!row->help || !row->help[0])
        return "has no help";
    if ((row->type == COFRE_CHOICE) != (row->choices && row->choices[0]))
        return "has choices without being a choice, or is a choice without them";
    if (row->minimum > row->maximum)
        return "has a minimum above its maximum";
    return NULL;
}

/* Row i, and that its fallback is a value of its own type. */
static int check_option(struct describe *d, size_t i, struct error *e)
{
    const struct cofre_option *row = d->rows[i];
    if (!row->name || !name_valid(row->name))
        return error_set(e, ERROR_CONFIG, "plugin '%s': option %zu has no valid name", d->path, i + 1);
    const char *fault = row_fault(row, d->plugin.options.struct_bytes, d->role);
    if (!fault)
        fault = flags_fault(d, row);
    if (!fault)
        fault = clash(d, i);
    if (fault)
        return error_set(e, ERROR_CONFIG, "plugin '%s': option '%s' %s", d->path, row->name, fault);
    d->options[i] = (struct option){.name = row->name,
                                    .type = (enum option_type)row->type,
                                    .flags = row->flags,
                                    .fallback = row->fallback,
                                    .minimum = row->minimum,
                                    .maximum = row->maximum,
                                    .choices = row->choices,
                                    .help = row->help};
    struct option_value value = {0};
    if (row->fallback && row->type == COFRE_SECRET)
        return error_set(e, ERROR_CONFIG, "plugin '%s': option '%s' has a secret as its default", d->path, row->name);
    if (row->fallback && option_parse(&d->options[i], row->fallback, &value, e) < 0)
        return error_context(e, "plugin '%s': default of option '%s': ", d->path, row->name);
    option_value_free(&value);
    return 0;
}

static int check_options(struct describe *d, struct error *e)
{
    const struct cofre_options *table = &d->plugin.options;
    if (table->count == 0)
        return 0;
    if (!table->rows || table->count > WIRE_MAX_OPTIONS || table->struct_bytes > MAX_STRUCT ||
        table->stride < LEVELS_OPTION || table->stride % _Alignof(struct cofre_option) != 0)
        return refuse(e, d, "its option table is malformed");
    d->rows = calloc(table->count, sizeof(struct cofre_option *));
    d->options = calloc(table->count, sizeof *d->options);
    if (!d->rows || !d->options)
        return error_memory(e);
    const uint8_t *base = (const uint8_t *)table->rows;
    for (size_t i = 0; i < table->count; i++) {
        d->rows[i] = (const struct cofre_option *)(const void *)(base + i * table->stride);
        if (check_option(d, i, e) < 0)
            return -1;
    }
    d->option_count = table->count;
    return 0;
}

/* ---- roles ---- */

static int take_source(struct describe *d, struct error *e)
{
    if (d->plugin.source->struct_size < LEVELS_SOURCE)
        return refuse(e, d, "its table of a source is smaller than that of its level");
    levels_copy(&d->source, sizeof d->source, d->plugin.source, d->plugin.source->struct_size);
    const struct cofre_source *s = &d->source;
    d->role = PLUGIN_SOURCE;
    if (!s->open || !s->close || !s->check || !s->backup || !s->restore)
        return refuse(e, d, "a source needs open, close, check, backup and restore");
    d->life = (struct describe_life){s->open, s->close, s->check};
    d->capabilities = s->capabilities;
    if (s->freeze && !s->thaw)
        return refuse(e, d, "freeze needs thaw");
    if (s->services && !s->thaw)
        return refuse(e, d, "services needs thaw");
    if (!s->scratch_make != !s->scratch_drop)
        return refuse(e, d, "scratch_make and scratch_drop come together or not at all");
    d->offers = (s->freeze ? PLUGIN_OFFERS_FREEZE : 0u) | (s->thaw ? PLUGIN_OFFERS_THAW : 0u) |
                (s->estimate ? PLUGIN_OFFERS_ESTIMATE : 0u) | (s->scratch_make ? PLUGIN_OFFERS_SCRATCH : 0u) |
                (s->facts ? PLUGIN_OFFERS_FACTS : 0u) | (s->discover ? PLUGIN_OFFERS_DISCOVER : 0u) |
                (s->services ? PLUGIN_OFFERS_SERVICES : 0u);
    return 0;
}

static int take_sink(struct describe *d, struct error *e)
{
    if (d->plugin.sink->struct_size < LEVELS_SINK)
        return refuse(e, d, "its table of a sink is smaller than that of its level");
    levels_copy(&d->sink, sizeof d->sink, d->plugin.sink, d->plugin.sink->struct_size);
    const struct cofre_sink *s = &d->sink;
    d->role = PLUGIN_SINK;
    if (!s->open || !s->close || !s->check || !s->put || !s->get || !s->stat || !s->list || !s->remove)
        return refuse(e, d, "a sink needs open, close, check, put, get, stat, list and remove");
    d->life = (struct describe_life){s->open, s->close, s->check};
    d->capabilities = s->capabilities;
    d->offers = (s->create ? PLUGIN_OFFERS_CREATE : 0u) | (s->sync ? PLUGIN_OFFERS_SYNC : 0u) |
                (s->sweep ? PLUGIN_OFFERS_SWEEP : 0u) | (s->space ? PLUGIN_OFFERS_SPACE : 0u) |
                (s->retain ? PLUGIN_OFFERS_RETAIN : 0u) | (s->remove_many ? PLUGIN_OFFERS_REMOVE_MANY : 0u);
    return 0;
}

static int take_notifier(struct describe *d, struct error *e)
{
    if (d->plugin.notifier->struct_size < LEVELS_NOTIFIER)
        return refuse(e, d, "its table of a notifier is smaller than that of its level");
    levels_copy(&d->notifier, sizeof d->notifier, d->plugin.notifier, d->plugin.notifier->struct_size);
    const struct cofre_notifier *s = &d->notifier;
    d->role = PLUGIN_NOTIFIER;
    if (!s->open || !s->close || !s->check || !s->notify)
        return refuse(e, d, "a notifier needs open, close, check and notify");
    d->life = (struct describe_life){s->open, s->close, s->check};
    d->capabilities = s->capabilities;
    return 0;
}

static int take_role(struct describe *d, struct error *e)
{
    const struct cofre_plugin *p = &d->plugin;
    if (!!p->source + !!p->sink + !!p->notifier != 1)
        return refuse(e, d, "it must be exactly one of source, sink and notifier");
    int result = p->source ? take_source(d, e) : p->sink ? take_sink(d, e) : take_notifier(d, e);
    return result == 0 && (d->capabilities & CRITICAL) ? refuse(e, d, UNKNOWN_CAPABILITY) : result;
}

static int check_levels(const struct describe *d, struct error *e)
{
    const struct cofre_plugin *p = &d->plugin;
    if (p->min_host_level > COFRE_ABI_LEVEL) {
        error_set(e, ERROR_CONFIG, "plugin '%s' needs a host of level %u or newer, this cofre is of level %d", d->path,
                  p->min_host_level, COFRE_ABI_LEVEL);
        return error_hint(e, "install a newer cofre, or an older version of the plugin");
    }
    if (p->api_level == 0)
        return refuse(e, d, "it does not say for which level it was written");
    if (p->api_level < LEVELS_OLDEST) {
        error_set(e, ERROR_CONFIG, "plugin '%s' was written for level %u, this cofre takes %d to %d", d->path,
                  p->api_level, LEVELS_OLDEST, COFRE_ABI_LEVEL);
        return error_hint(e, "install a newer version of the plugin");
    }
    return 0;
}

int describe_plugin(const struct cofre_plugin *plugin, const char *path, const char *name, struct describe *d,
                    struct error *e)
{
    *d = (struct describe){.path = text_copy(path)};
    if (!d->path)
        return error_memory(e);
    if (!plugin)
        return refuse(e, d, "it does not describe itself");
    if (plugin->struct_size < LEVELS_HEAD)
        return refuse(e, d, "its description has no beginning");
    levels_copy(&d->plugin, sizeof d->plugin, plugin, plugin->struct_size);
    if (check_levels(d, e) < 0)
        return -1;
    if (plugin->struct_size < LEVELS_PLUGIN)
        return refuse(e, d, "its description is smaller than that of its level");
    if (!d->plugin.name || strcmp(d->plugin.name, name) != 0)
        return error_set(e, ERROR_CONFIG, "plugin '%s' calls itself '%s', but the file is named '%s.so'", path,
                         d->plugin.name ? d->plugin.name : "", name);
    return take_role(d, e) < 0 ? -1 : check_options(d, e);
}

void describe_free(struct describe *d)
{
    free(d->path);
    free(d->options);
    free(d->rows);
    *d = (struct describe){.path = NULL};
}

/* worker_plugin has owning pointers because the engine's copy owns them; this one is only encoded. */
static char *lend(const char *text)
{
    char *p;
    memcpy(&p, &text, sizeof p);
    return p;
}

void describe_lend(const struct describe *d, struct plugin_info *plugin)
{
    const struct cofre_plugin *p = &d->plugin;
    *plugin = (struct plugin_info){.role = d->role,
                                   .path = d->path,
                                   .name = lend(p->name),
                                   .version = lend(p->version),
                                   .summary = lend(p->summary),
                                   .license = lend(p->license),
                                   .example = lend(p->example),
                                   .api_level = p->api_level,
                                   .capabilities = d->capabilities,
                                   .offers = d->offers,
                                   .options = d->options,
                                   .option_count = d->option_count,
                                   .environment = lend(p->environment),
                                   .reads = lend(p->reads)};
}
