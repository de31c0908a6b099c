#include "rsync/inspection.h"

#include <stdlib.h>
#include <string.h>

#include "rsync/listing.h"
#include "rsync/transfer.h"

/* One flush mark is sent, offered again, and removed: what the far side permits, it permits for objects too. */
struct inspection {
    struct place *place;
    struct cofre_call *call;
    struct transfer_names names;
};

static int32_t run(struct inspection *i, enum transfer_kind kind, const char *subject, char **text,
                   struct cofre_error *error)
{
    struct transfer t = {.kind = kind, .names = &i->names, .subject = subject};
    return transfer_run(&i->place->link, &t, i->call, text, error);
}

static void find(const struct inspection *i, int32_t level, const char *text, const char *hint)
{
    cofre->finding(i->call, level, text, hint);
}

/* Can it be reached and read, and is it the place? */
static bool look_at_place(struct inspection *i, struct cofre_error *error)
{
    char *text = NULL;
    int32_t result = transfer_name(&i->names, TRANSFER_TEMPORARY, error);
    if (!result)
        result = run(i, TRANSFER_LOOK, "the place", &text, error);
    if (!result && !strstr(text, TRANSFER_TEMPORARY))
        result = transfer_no_place(&i->place->link, error);
    free(text);
    if (result)
        find(i, COFRE_LOG_ERROR, error->message, error->hint);
    return !result;
}

static bool look_at_adding(struct inspection *i, struct cofre_error *error)
{
    bool fsync = i->place->link.options->fsync;
    i->names.length = 0;
    int32_t result = transfer_add_mark(&i->place->link, WORKSPACE_OUT, &i->names, error);
    if (!result)
        result = run(i, TRANSFER_SEND, "a small file", NULL, error);
    if (result) {
        find(i, COFRE_LOG_ERROR, error->message, error->hint);
    } else if (fsync) {
        find(i, COFRE_LOG_INFO, "objects can be added and read; the far side flushes each to its disk", "");
    } else {
        find(i, COFRE_LOG_WARNING,
             "with fsync = no this target cannot promise that what was committed outlives a power "
             "cut there",
             "with rsync 3.2.4 or newer there, remove the line");
    }
    return !result && fsync;
}

static void look_at_replacing(struct inspection *i, struct cofre_error *error)
{
    char *text = NULL;
    int32_t result = run(i, TRANSFER_PROBE, "a small file", &text, error);
    if (!result && strstr(text, "<f"))
        find(i, COFRE_LOG_INFO, "the far side permits replacing what is there",
             "cofre never does; who breaks into this machine could: see 'append-only' on the plugin's page");
    else
        find(i, COFRE_LOG_INFO, "the far side does not permit replacing what is there", "");
    free(text);
}

static void look_at_removing(struct inspection *i, struct cofre_error *error)
{
    int32_t result = workspace_parents(&i->place->link.workspace, WORKSPACE_VOID, TRANSFER_MARKS "/x", error);
    if (!result)
        result = run(i, TRANSFER_REMOVE, "a small file", NULL, error);
    if (result == COFRE_E_DENIED || result == COFRE_E_UNSUPPORTED)
        find(i, COFRE_LOG_INFO, "the far side does not permit removing: append-only",
             "old snapshots are then removed there, or with another account");
    else if (result)
        find(i, COFRE_LOG_WARNING, error->message, error->hint);
    else
        find(i, COFRE_LOG_INFO, "the far side permits removing",
             "who breaks into this machine could remove backups: see 'append-only' on the plugin's page");
}

int32_t inspection_run(struct place *place, struct cofre_call *call, struct cofre_error *error)
{
    struct inspection i = {.place = place, .call = call};
    if (look_at_place(&i, error) && look_at_adding(&i, error)) {
        look_at_replacing(&i, error);
        look_at_removing(&i, error);
    }
    transfer_free_names(&i.names);
    memset(error, 0, sizeof *error);
    error->struct_size = sizeof *error;
    return COFRE_OK;
}
