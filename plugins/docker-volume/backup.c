#include "docker-volume/backup.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cofre/plugin.h"
#include "docker-volume/before.h"
#include "docker-volume/carrier.h"
#include "docker-volume/describe.h"
#include "docker-volume/during.h"
#include "docker-volume/say.h"
#include "docker-volume/tape.h"
#include "docker-volume/user.h"

#define FACT_KEY_MAX 255

struct backup {
    const struct source *source;
    struct cofre_call *call;
    const struct survey *survey;
    struct cofre_error *error; /* of what ends the run */
    struct cofre_error why;    /* of the volume at hand */
};

_Static_assert(BACKUP_WRITER_MAX == USER_REFERENCE_MAX, "a writer is named by its reference");

const char *backup_writer(const struct survey *survey, const struct volume *volume, char out[BACKUP_WRITER_MAX])
{
    for (size_t i = 0; i < survey->containers.count; i++)
        if (user_runs(&survey->containers.items[i]) && user_writes(&survey->containers.items[i], volume))
            return user_reference(&survey->containers.items[i], out);
    return NULL;
}

/* Where nobody writes, because all who do are halted, files of a database are those of one moment, from which its
 * server recovers as from a crash. */
struct tree_read_options backup_reading(const struct source *source, const struct survey *survey,
                                        const struct volume *volume, int root, const char *container)
{
    const struct options *o = source->options;
    static const struct pattern_set nothing;
    return (struct tree_read_options){.path = volume->mountpoint,
                                      .prefix = volume->name,
                                      .root = root,
                                      .exclude = &source->exclude_paths,
                                      .include = &nothing,
                                      .one_file_system = o->one_file_system,
                                      .numeric_owner = o->numeric_owner,
                                      .living_accepted =
                                          o->live_database == OPTIONS_LIVING_ACCEPT || during_is_quiet(survey, volume),
                                      .container = container};
}

/* ---- facts ---- */

static int32_t say_count(struct cofre_call *call, const char *what, const char *volume, uint64_t count,
                         struct cofre_error *error)
{
    char key[FACT_KEY_MAX + 1], value[24];
    int n = snprintf(key, sizeof key, "%s.%s", what, volume);
    snprintf(value, sizeof value, "%llu", (unsigned long long)count);
    return n > FACT_KEY_MAX ? COFRE_OK : cofre->fact(call, key, value, COFRE_FACT_MUST_MATCH, error);
}

static int32_t say_counts(struct cofre_call *call, const char *volume, const struct tree_read_counts *counts,
                          struct cofre_error *error)
{
    int32_t status = say_count(call, "entries", volume, counts->entries, error);
    return status == COFRE_OK ? say_count(call, "bytes", volume, counts->bytes, error) : status;
}

/* Another daemon than last time has other volumes of the same names. */
static int32_t say_daemon(const struct source *source, struct cofre_call *call, struct cofre_error *error)
{
    struct daemon_about about;
    int32_t status = daemon_hello(source->daemon, call, &about, error);
    if (status != COFRE_OK || about.id[0] == '\0')
        return status;
    return cofre->fact(call, "docker.id", about.id, COFRE_FACT_IDENTITY, error);
}

/* ---- one volume ---- */

static int32_t missing(struct backup *b, const char *volume, int32_t class)
{
    return cofre->missing(b->call, volume, strlen(volume), class, &b->why, b->error);
}

/* What ends the run, whatever volume it is about. */
static bool is_final(struct backup *b, int32_t class)
{
    if (class == COFRE_E_CANCELLED || cofre->cancelled(b->call, b->error) != COFRE_OK) {
        *b->error = b->why;
        return true;
    }
    return false;
}

static int32_t vanished(struct backup *b, const char *volume)
{
    cofre_fail(&b->why, COFRE_E_CHANGED, "volume '%s' was removed after the daemon had listed it", volume);
    return missing(b, volume, COFRE_E_CHANGED);
}

static int32_t read_files(struct backup *b, const struct volume *volume, int root, struct tree_read_counts *counts)
{
    char writer[BACKUP_WRITER_MAX];
    struct tree_read_options options =
        backup_reading(b->source, b->survey, volume, root, backup_writer(b->survey, volume, writer));
    return tree_read(b->call, &options, counts, b->error);
}

static int32_t open_tape(struct backup *b, const struct carrier *carrier, struct daemon_stream **stream)
{
    const struct daemon_request request = {.method = "GET",
                                           .path = "/containers/%s/archive",
                                           .segments = DAEMON_WORDS(carrier->container),
                                           .query = DAEMON_WORDS("path", carrier->destination),
                                           .what = "read a volume through a container"};
    return daemon_stream_open(b->source->daemon, b->call, &request, stream, &b->why);
}

/* One that mounts it may be gone by now, or the daemon may not get at its files. Then by one of ours. */
static int32_t find_tape(struct backup *b, const struct volume *volume, struct carrier *carrier,
                         struct daemon_stream **stream)
{
    int32_t status = carrier_begin(b->source, b->call, b->survey, volume, carrier, &b->why);
    if (status != COFRE_OK)
        return status;
    status = open_tape(b, carrier, stream);
    if (status == COFRE_OK || carrier->own || (status != COFRE_E_NOT_FOUND && status != COFRE_E_PERMANENT))
        return status;
    say_log(b->call, COFRE_LOG_INFO, "volume '%s' is read through a container of our own: %s", volume->name,
            b->why.message);
    status = carrier_make(b->source, b->call, volume, false, carrier, &b->why);
    return status == COFRE_OK ? open_tape(b, carrier, stream) : status;
}

/* Something was not there that reading it needs; only the daemon's list says whether that is the volume. */
static int32_t not_found(struct backup *b, const struct volume *volume)
{
    VOLUME_AUTO now = {.json = NULL};
    struct cofre_error look = {.struct_size = sizeof look};
    return volume_look(b->source->daemon, b->call, volume->name, &now, &look) == COFRE_E_NOT_FOUND
               ? vanished(b, volume->name)
               : missing(b, volume->name, COFRE_E_PERMANENT);
}

static int32_t read_tape(struct backup *b, const struct volume *volume, struct tree_read_counts *counts)
{
    char writer[BACKUP_WRITER_MAX];
    struct carrier carrier = {.own = false};
    struct daemon_stream *stream = NULL;
    bool accepted = b->source->options->live_database == OPTIONS_LIVING_ACCEPT;
    struct tape_spec spec = {.volume = volume->name, .exclude = &b->source->exclude_paths};
    spec.container = accepted ? NULL : backup_writer(b->survey, volume, writer);
    int32_t status = find_tape(b, volume, &carrier, &stream);
    int32_t result = status == COFRE_OK ? tape_send(b->call, &spec, stream, counts, b->error) : COFRE_OK;
    daemon_stream_free(stream);
    struct cofre_error why = {.struct_size = sizeof why};
    if (carrier.container[0] && carrier_end(b->source, b->call, &carrier, &why) != COFRE_OK)
        say_log(b->call, COFRE_LOG_WARNING, "%s; it is tried again at the end", why.message);
    if (status == COFRE_OK || is_final(b, status))
        return status == COFRE_OK ? result : status;
    return status == COFRE_E_NOT_FOUND ? not_found(b, volume) : missing(b, volume->name, status);
}

/* Is it still there? */
static int32_t look_again(struct backup *b, const struct volume *volume)
{
    VOLUME_AUTO now = {.json = NULL};
    int32_t status = volume_look(b->source->daemon, b->call, volume->name, &now, &b->why);
    if (status == COFRE_OK || is_final(b, status))
        return status;
    return status == COFRE_E_NOT_FOUND ? vanished(b, volume->name) : missing(b, volume->name, status);
}

static int32_t read_volume(struct backup *b, const struct volume *volume)
{
    struct tree_read_counts counts = {.entries = 0};
    int root = -1;
    int32_t opened = volume_open(b->source->daemon, volume, &root, &b->why), status;
    if (opened == COFRE_OK) {
        status = read_files(b, volume, root, &counts);
        close(root);
    } else {
        say_log(b->call, COFRE_LOG_INFO, "volume '%s' is read through the daemon: %s", volume->name, b->why.message);
        status = read_tape(b, volume, &counts);
    }
    if (status == COFRE_OK && counts.entries == 1)
        say_log(b->call, COFRE_LOG_WARNING, "volume '%s' is empty", volume->name);
    if (status == COFRE_OK)
        status = say_counts(b->call, volume->name, &counts, b->error);
    return status == COFRE_OK ? look_again(b, volume) : status;
}

/* ---- all of them ---- */

/* Were the containers as they were to be, all the time? */
static int32_t check_during(struct backup *b)
{
    SURVEY_AUTO now = {.chosen = NULL};
    const char *id = cofre->id(b->call);
    int32_t looked = survey_all(b->source, b->call, &now, &b->why), status = COFRE_OK;
    for (size_t i = 0; status == COFRE_OK && i < b->survey->volumes.count; i++) {
        const struct volume *volume = &b->survey->volumes.items[i];
        int32_t found = COFRE_OK;
        if (b->survey->chosen[i])
            found = looked == COFRE_OK && id ? during_check(b->source, b->call, id, &now, volume, &b->why) : looked;
        if (found == COFRE_OK)
            continue;
        int32_t class = found == COFRE_E_NOT_FOUND ? COFRE_E_CHANGED : found;
        status = is_final(b, found) ? found : missing(b, volume->name, class);
    }
    return status;
}

static int32_t name_absent(struct backup *b)
{
    const char *name;
    int32_t status = COFRE_OK;
    for (size_t at = 0; status == COFRE_OK && (name = survey_absent(b->survey, b->source->options, &at));) {
        cofre_fail(&b->why, COFRE_E_PERMANENT, "%s has no volume '%.255s'", daemon_name(b->source->daemon), name);
        cofre_hint(&b->why, "look at 'docker volume ls', and at volumes in the section");
        status = missing(b, name, COFRE_E_PERMANENT);
    }
    return status;
}

static int32_t read_volumes(struct backup *b)
{
    int32_t status = name_absent(b);
    for (size_t i = 0; status == COFRE_OK && i < b->survey->volumes.count; i++)
        if (b->survey->chosen[i])
            status = read_volume(b, &b->survey->volumes.items[i]);
    return status;
}

int32_t backup_run(const struct source *source, struct cofre_call *call, struct cofre_error *error)
{
    SURVEY_AUTO survey = {.chosen = NULL};
    struct backup b = {.source = source, .call = call, .survey = &survey, .error = error};
    b.why.struct_size = sizeof b.why;
    int32_t status = survey_make(source, call, &survey, error);
    if (status == COFRE_OK)
        status = say_daemon(source, call, error);
    if (status == COFRE_OK)
        status = describe_send(source, call, &survey, error);
    if (status == COFRE_OK)
        status = read_volumes(&b);
    if (status == COFRE_OK)
        status = check_during(&b);
    if (status != COFRE_OK)
        return status;
    before_name(call, &survey);
    pattern_say_unused(&source->volumes, "volumes", call);
    pattern_say_unused(&source->exclude, "exclude", call);
    pattern_say_unused(&source->exclude_paths, "exclude_paths", call);
    return COFRE_OK;
}

int32_t backup_count(const struct source *source, struct cofre_call *call, bool facts, struct tree_read_counts *counts,
                     bool *whole, struct cofre_error *error)
{
    SURVEY_AUTO survey = {.chosen = NULL};
    struct cofre_error why = {.struct_size = sizeof why};
    int32_t status = survey_make(source, call, &survey, error);
    *counts = (struct tree_read_counts){.entries = 0};
    *whole = true;
    for (size_t i = 0; status == COFRE_OK && i < survey.volumes.count; i++) {
        struct tree_read_counts one = {.entries = 0};
        int root;
        if (!survey.chosen[i])
            continue;
        if (volume_open(source->daemon, &survey.volumes.items[i], &root, &why) != COFRE_OK) {
            *whole = false;
            continue;
        }
        struct tree_read_options options = backup_reading(source, &survey, &survey.volumes.items[i], root, NULL);
        status = tree_read_count(call, &options, &one, error);
        close(root);
        counts->entries += one.entries;
        counts->bytes += one.bytes;
        if (status == COFRE_OK && facts)
            status = say_counts(call, survey.volumes.items[i].name, &one, error);
    }
    return status;
}
