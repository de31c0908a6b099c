#include "redis/fault.h"

#include <stdio.h>
#include <string.h>

#include "common/failure.h"

/* By the beginning of the reply; the first that fits. */
static const struct {
    const char *begins;
    int32_t class;
    const char *hint;
} faults[] = {
    {"NOAUTH", COFRE_E_AUTH, "the server wants a password: set 'password', and 'user' if it is not the default one"},
    {"WRONGPASS", COFRE_E_AUTH, "look at 'user' and 'password' of this source, and at ACL LIST on the server"},
    {"ERR invalid password", COFRE_E_AUTH, "look at 'password' of this source"},
    {"ERR AUTH <password> called without any password", COFRE_E_AUTH,
     "the server's default user has no password: remove 'password', or set 'user'"},
    {"ERR Client sent AUTH, but no password is set", COFRE_E_AUTH, "the server has no password: remove 'password'"},
    {"NOPERM", COFRE_E_DENIED,
     "grant what saving needs: ACL SETUSER NAME +ping +info +replconf +psync +module|list; for restoring also "
     "+replicaof +select +function|list"},
    {"LOADING", COFRE_E_RETRY, "the server is still loading its data: try again when it is done"},
    {"MASTERDOWN", COFRE_E_RETRY, "this replica has lost its primary: mend that, or save from another server"},
    {"NOMASTERLINK", COFRE_E_RETRY,
     "this replica has lost its primary, so its data is old: mend that, or save from the primary"},
    {"MISCONF", COFRE_E_PERMANENT,
     "the server cannot write its own snapshots: see its log and INFO persistence, often a full disk"},
    {"ERR BGSAVE failed", COFRE_E_RETRY,
     "the server could not fork, mostly for want of memory: see its log; vm.overcommit_memory = 1 helps"},
    {"BUSY ", COFRE_E_RETRY, "a script keeps the server busy: SCRIPT KILL or FUNCTION KILL ends it"},
    {"ERR max number of clients", COFRE_E_RETRY, "raise maxclients, or try again later"},
    {"DENIED", COFRE_E_DENIED, "the server is in protected mode: give it a password, or bind it, and set 'password'"},
    {"ERR REPLICAOF not allowed in cluster mode", COFRE_E_UNSUPPORTED,
     "restore with --into DIR, and load the file as the documentation of your cluster says"},
    {"READONLY", COFRE_E_DENIED, "this server is a replica: restore into its primary"},
    {"ERR unknown command", COFRE_E_UNSUPPORTED,
     "the server does not know this command, or its administrator took it away: see rename-command in its "
     "configuration"},
};

int32_t fault_reply(const char *name, const char *command, const char *reply, struct cofre_error *error)
{
    char shown[FAILURE_QUOTE_MAX];
    int32_t class = COFRE_E_PERMANENT;
    const char *hint = "";
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        if (strncmp(reply, faults[i].begins, strlen(faults[i].begins)) == 0) {
            class = faults[i].class;
            hint = faults[i].hint;
            break;
        }
    cofre_fail(error, class, "%s: %s was refused: %s", name, command, failure_quote(reply, strlen(reply), shown));
    cofre_hint(error, "%s", hint);
    size_t n = strcspn(reply, " ");
    if (n < sizeof error->code && strncmp(reply, "ERR", n) != 0)
        snprintf(error->code, sizeof error->code, "%.*s", (int)n, reply);
    return class;
}
