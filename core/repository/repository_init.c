#include "repository/repository_init.h"

#include <errno.h>
#include <unistd.h>

#include "base/error.h"
#include "base/file.h"
#include "base/text.h"
#include "config/config.h"
#include "format/vault.h"
#include "openpgp/openpgp.h"
#include "openpgp/pgp.h"
#include "repository/key.h"
#include "repository/recovery.h"
#include "repository/repository.h"
#include "worker/engine.h"
#include "worker/sink.h"

/* The key file's key; a fresh one, saved, when there is no file. */
static int load_or_create_key(const char *path, struct key **key, bool *created, struct error *e)
{
    *created = false;
    if (key_load(path, key, e) == 0) {
        if (!(*key)->full)
            return error_set(e, ERROR_CONFIG, "key file '%s' is a %s key; init needs the full key", path,
                             key_kind(*key));
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

/* openpgp: what is to wrap the key; NULL = no copy of it is asked for. */
static int make(struct openpgp *openpgp, struct sink *sink, const struct config_instance *section,
                struct init_result *result, struct key **key, struct error *e)
{
    bool plain = section->encryption == CONFIG_PLAIN;
    /* It works before there is a key. */
    if ((openpgp && pgp_ready(openpgp->pgp, NULL, NULL, e) < 0) || sink_create(sink, e) < 0)
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
    result->recoverable = openpgp;
    return openpgp ? recovery_store(openpgp, sink, *key, e) : 0;
}

int repository_init(const struct engine *engine, struct sink *sink, const struct config_instance *section,
                    struct init_result *result, struct error *e)
{
    struct key *key = NULL;
    struct openpgp openpgp;
    bool kept = recovery_wanted(section);
    if (kept && openpgp_open(engine->config, section, &openpgp, e) < 0)
        return -1;
    int made = make(kept ? &openpgp : NULL, sink, section, result, &key, e);
    key_free(key);
    if (kept)
        openpgp_close(&openpgp);
    return made;
}
