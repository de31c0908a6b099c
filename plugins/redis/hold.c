#include "redis/hold.h"

#include <stdio.h>
#include <stdlib.h>

#include "cofre/plugin.h"
#include "redis/direct.h"
#include "redis/info.h"
#include "redis/link.h"
#include "redis/primary.h"
#include "redis/undo.h"
#include "redis/wait.h"

#define PAUSE 20 /* ms between two looks at the server */

int32_t hold_tell(struct primary *primary, bool again, struct link *link, struct cofre_call *call,
                  struct cofre_error *error)
{
    char port[16], *info;
    if (again)
        primary_close(primary);
    int32_t class = primary_listen(primary, link, call, error);
    if (class == COFRE_OK)
        class = undo_note(primary, DIRECT_NONE, call, error);
    snprintf(port, sizeof port, "%d", primary->port);
    if (class == COFRE_OK)
        class = link_follow(link, call, again, primary->host, port, &info, error);
    if (class != COFRE_OK)
        return class;
    info_text(info, "master_replid", primary->theirs, sizeof primary->theirs);
    free(info);
    return COFRE_OK;
}

static int32_t look(struct primary *primary, bool *follows, struct cofre_error *error)
{
    char *info;
    int32_t class = link_info(primary->server, primary->call, &info, error);
    if (class != COFRE_OK)
        return class;
    *follows = info_is(info, "master_link_status", "up");
    if (*follows && info_is(info, "slave_read_only", "0")) {
        class = cofre_fail(error, COFRE_E_UNSUPPORTED, "%s: it takes writes as a replica, too, and they would be lost",
                           primary->server->name);
        cofre_hint(error, "set replica-read-only to yes on the server, at least for the time of the restore");
    }
    free(info);
    return class;
}

int32_t hold_await(struct primary *primary, struct cofre_error *error)
{
    bool follows = false;
    int64_t until = wait_clock() + primary->server->conf->patience;
    int32_t class = primary_accept(primary, true, error);
    while (class == COFRE_OK && !follows) {
        class = look(primary, &follows, error);
        primary_tend(primary);
        if (class == COFRE_OK && !follows && wait_clock() > until)
            class = cofre_fail(error, COFRE_E_TIMEOUT, "%s: it does not become our replica", primary->server->name);
        if (class == COFRE_OK && !follows)
            class = wait_for(primary->call, -1, 0, PAUSE, primary->server->name, error);
    }
    return class;
}
