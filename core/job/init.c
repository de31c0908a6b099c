#include "job/init.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "archive/marker.h"
#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "config/config.h"
#include "worker/engine.h"
#include "openpgp/openpgp.h"
#include "job/recovery.h"
#include "job/vault.h"
#include "repository/key.h"
#include "repository/repository.h"
#include "worker/sink.h"

/* The key file's key; a fresh one, saved, when there is no file. */
static int load_or_create_key(const char *path, struct key **key, bool *created, struct error *e)
{
    *created = false;
    if (key_load(path, key, e) == 0) {
        if (!(*key)->full)
            return error_set(e, ERROR_CONFIG, "key file '%s' is a put key; init needs the full key", path);
        /* It may have been copied there a moment ago, or be what a killed init left. */
        return file_make_durable(path, e);
    }
    if (e->class != ERROR_NOT_FOUND || key_create(key, e) < 0)
        return -1;
    *created = key_save(*key, path, e) == 0;
    if (*created)
        return 0;
    return e->class == ERROR_NOT_FOUND ? error_hint(e, "make its directory first, with mode 0700") : -1;
}

/* There is something in the place, and it was not made with the key that we have just made: nothing is. A key that
 * opens nothing must not lie where the right one belongs. */
static int take_key_back(const char *path, struct error *e)
{
    if (unlink(path) < 0)
        return error_system(e, errno, "remove the new and unused key file '%s'", path);
    return error_hint(e, "if it is yours, its key file is missing: put your copy of it back as '%s'", path);
}

int init_archive(const struct engine *engine, struct sink *sink, const struct config_instance *section,
                 struct init_result *result, struct error *e)
{
    struct openpgp openpgp = {0};
    struct marker marker;
    bool phrase = section->openpgp.passphrase.text != NULL;
    if (phrase && openpgp_open(engine->config, section, &openpgp, e) < 0)
        return -1;
    int made = sink_create(sink, e);
    if (made == 0)
        made = marker_make(sink, openpgp.pgp, &marker, &result->existed, e);
    if (made == 0)
        memcpy(result->repository, marker.id, sizeof marker.id);
    openpgp_close(&openpgp);
    return made;
}

static int make(const struct engine *engine, struct sink *sink, const struct config_instance *section,
                struct init_result *result, struct key **key, struct error *e)
{
    bool plain = section->encryption == CONFIG_PLAIN;
    /* What is to wrap the key works before there is a key. */
    if (recovery_ready(engine, section, NULL, NULL, e) < 0 || sink_create(sink, e) < 0)
        return -1;
    /* The key is on the disk before anything is sealed with it. */
    int made = plain ? key_create(key, e) : load_or_create_key(section->key, key, &result->key_created, e);
    if (made < 0)
        return -1;
    if (repository_create(sink, *key, plain, result->repository, &result->existed, e) < 0)
        return result->key_created && e->class == ERROR_EXISTS ? take_key_back(section->key, e) : -1;
    if (plain)
        return 0;
    text_hex((*key)->public.id, KEY_ID_SIZE, result->key);
    result->recoverable = recovery_wanted(section);
    return recovery_store(engine, section, sink, *key, e);
}

int init_repository(const struct engine *engine, struct sink *sink, const struct config_instance *section,
                    struct init_result *result, struct error *e)
{
    struct key *key = NULL;
    int made = make(engine, sink, section, result, &key, e);
    key_free(key);
    return made;
}

int init_run(const struct engine *engine, const struct config_instance *section, struct init_result *result,
             struct error *e)
{
    *result = (struct init_result){0};
    struct sink *sink;
    if (engine_open_sink(engine, section, 1, &sink, e) < 0)
        return -1;
    int made = vault_format_of(section)->init(engine, sink, section, result, e);
    sink_free(sink);
    return made < 0 ? error_subject(e, "sink", section->name) : 0;
}
