#include "rsync/verdict.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "common/failure.h"

struct verdict {
    const char *sign; /* in a line of stderr */
    int32_t class;
    const char *cause; /* in place of the line, when that says too little; NULL = the line */
    const char *hint;
};

#define FAR_LOG "look into the log of sshd or rsyncd on the far side"
#define CROWDED "@ERROR: max connections"
#define RETRIED "it is tried again by itself; when it stays, look at the line and at the far side"
#define KNOW                                                                                                           \
    "get it from the far side's console (ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub), compare, and add it to "   \
    "known_hosts"

/* The first row whose sign is there wins: what is most telling comes first. */
static const struct verdict signs[] = {
    {"REMOTE HOST IDENTIFICATION HAS CHANGED", COFRE_E_AUTH, "the host key of the far side has changed",
     "ask who runs it; only when the change was meant: ssh-keygen -R HOST, then add the new key to known_hosts"},
    {"host key is known for", COFRE_E_AUTH, "its host key is not known", KNOW},
    {"Host key verification failed", COFRE_E_AUTH, "its host key could not be verified", KNOW},
    {"No matching host key fingerprint", COFRE_E_AUTH, NULL, KNOW},
    {"Permission denied (13)", COFRE_E_DENIED, NULL,
     "the far user needs the directory for himself: chown it, chmod 0700"},
    {"Permission denied (", COFRE_E_AUTH, NULL,
     "put the public half of identity_file into the far user's ~/.ssh/authorized_keys; a passphrase cannot be typed "
     "here"},
    {"Permission denied, please try again", COFRE_E_AUTH, NULL, "use a key: identity_file"},
    {"Too many authentication failures", COFRE_E_AUTH, NULL, "name the one key to be used: identity_file"},
    {"no matching", COFRE_E_UNSUPPORTED, NULL,
     "the ssh programs of the two sides have no common algorithm: update the older"},
    {"Could not resolve hostname", COFRE_E_RETRY, NULL, "look at the host in target, and at the name server"},
    {"getaddrinfo:", COFRE_E_RETRY, NULL, "look at the host in target, and at the name server"},
    {"Connection refused", COFRE_E_RETRY, NULL, "is the service running there, and is the port right?"},
    {"Connection timed out", COFRE_E_RETRY, NULL, "is the host up, and does a firewall let us through?"},
    {"No route to host", COFRE_E_RETRY, NULL, "is the host up, and does a firewall let us through?"},
    {"Network is unreachable", COFRE_E_RETRY, NULL, "look at this machine's network"},
    {"@ERROR: Unknown module", COFRE_E_CONFIG, NULL, "the modules are the [names] in the far side's /etc/rsyncd.conf"},
    {"@ERROR: auth failed", COFRE_E_AUTH, NULL,
     "compare user and password with the module's 'auth users' and 'secrets file' (mode 0600)"},
    {"failed to read a password", COFRE_E_AUTH, "the module asks for a password and none is configured",
     "set password, and the user in target: rsync://user@host/module"},
    {"@ERROR: access denied", COFRE_E_DENIED, NULL, "see 'hosts allow' of the module in the far side's rsyncd.conf"},
    {CROWDED, COFRE_E_RETRY, NULL, "see 'max connections' in the far side's rsyncd.conf"},
    {"@ERROR: chdir failed", COFRE_E_NOT_FOUND, "the module's path does not exist there",
     "is its disk mounted on the far side?"},
    {"@ERROR: chroot failed", COFRE_E_NOT_FOUND, "the module's path does not exist there",
     "is its disk mounted on the far side?"},
    {"is read only", COFRE_E_DENIED, NULL,
     "set 'read only = no' in the module's section of the far side's rsyncd.conf"},
    {"is write only", COFRE_E_DENIED, NULL, "cofre reads back what it writes: set 'write only = no' for the module"},
    {"reading from write-only server", COFRE_E_DENIED, NULL,
     "cofre reads back what it writes: leave -wo out, or give a key for reading: read_identity_file"},
    {"sending to read-only server", COFRE_E_DENIED, NULL, "leave -ro out of the forced command in authorized_keys"},
    {"--fsync: unknown option", COFRE_E_UNSUPPORTED, "rsync there is older than 3.2.4 and cannot flush to the disk",
     "update it; fsync = no works without, but a power cut there can then take what was committed"},
    {"--mkpath: unknown option", COFRE_E_UNSUPPORTED, "rsync there is older than 3.2.3 and makes no parent directories",
     "make the directory above the target there, update rsync"},
    {"unknown option", COFRE_E_UNSUPPORTED, NULL, "rsync there is too old: 3.2.4 is needed, with fsync = no 3.1.0"},
    {"protocol version mismatch", COFRE_E_CONFIG, NULL,
     "the login shell there prints something: try ssh USER@HOST true, and silence what appears"},
    {"configured to refuse", COFRE_E_DENIED, NULL, "see 'refuse options' of the module in the far side's rsyncd.conf"},
    {"has been disabled on this server", COFRE_E_DENIED, NULL,
     "see the rrsync command in the far side's authorized_keys"},
    {"No space left on device", COFRE_E_NO_SPACE, NULL, "make room on the far side"},
    {"Disk quota exceeded", COFRE_E_NO_SPACE, NULL, "raise the quota on the far side, or make room"},
    {"Read-only file system", COFRE_E_DENIED, NULL, "the far side's disk may be failing: see its kernel log"},
    {"temp-dir does not exist", COFRE_E_NOT_FOUND, "the place is not there",
     "is the disk mounted on the far side? a new place is made by: cofre init"},
    {"receiver option path does not exist", COFRE_E_NOT_FOUND, "the place is not there",
     "is the disk mounted on the far side? a new place is made by: cofre init"},
    {"rrsync error", COFRE_E_DENIED, NULL, "see the rrsync command in the far side's authorized_keys"},
    {"Input/output error", COFRE_E_PERMANENT, NULL, "the far side's disk is failing: see its kernel log"},
    {"command not found", COFRE_E_CONFIG, NULL, "install rsync there, or name it with rsync_path"},
    /* As bash and dash say it; rsync's own status for it comes too late now and then. */
    {"rsync: No such file or directory", COFRE_E_CONFIG, NULL, "install rsync there, or name it with rsync_path"},
    {"rsync: not found", COFRE_E_CONFIG, NULL, "install rsync there, or name it with rsync_path"},
    {"Operation not permitted (1)", COFRE_E_DENIED, NULL, "the far user needs the directory for himself"},
    {"change_dir", COFRE_E_NOT_FOUND, "the place is not there",
     "is the disk mounted on the far side? a new place is made by: cofre init"},
    {"failed verification", COFRE_E_RETRY, NULL, "when it stays, test the memory of both sides"},
    {"timeout in data send/receive", COFRE_E_RETRY, NULL, RETRIED},
};

/* rsync's statuses, and those that a shell or ssh leaves. */
static const struct {
    int status;
    struct verdict verdict;
} statuses[] = {
    {1, {NULL, COFRE_E_UNSUPPORTED, "rsync does not take the options", "update rsync on the older side"}},
    {2, {NULL, COFRE_E_UNSUPPORTED, "the two rsync have no common protocol", "update rsync on the older side"}},
    {3, {NULL, COFRE_E_NOT_FOUND, "a file or directory could not be selected", "see the path in target"}},
    {4, {NULL, COFRE_E_UNSUPPORTED, "the far side does not support or permit it", FAR_LOG}},
    {5, {NULL, COFRE_E_PERMANENT, "the connection could not be set up", FAR_LOG}},
    {6, {NULL, COFRE_E_PERMANENT, "the daemon cannot write its log", FAR_LOG}},
    {10, {NULL, COFRE_E_RETRY, "the connection broke", RETRIED}},
    {11, {NULL, COFRE_E_PERMANENT, "a file could not be read or written", "see disk and rights on the far side"}},
    {12, {NULL, COFRE_E_RETRY, "the far side ended the connection", RETRIED}},
    {13, {NULL, COFRE_E_PERMANENT, "rsync could not report its troubles", FAR_LOG}},
    {14, {NULL, COFRE_E_RETRY, "the parts of rsync lost each other", RETRIED}},
    {15, {NULL, COFRE_E_PERMANENT, "rsync found a fault in itself", "update rsync"}},
    {16, {NULL, COFRE_E_RETRY, "rsync was ended by a signal", RETRIED}},
    {19, {NULL, COFRE_E_RETRY, "rsync was ended by a signal", RETRIED}},
    {20, {NULL, COFRE_E_RETRY, "rsync was ended by a signal", RETRIED}},
    {21, {NULL, COFRE_E_PERMANENT, "rsync lost a child", RETRIED}},
    {22, {NULL, COFRE_E_MEMORY, "rsync has not enough memory", "see the memory of both sides"}},
    {23, {NULL, COFRE_E_PERMANENT, "a part was not transferred", FAR_LOG}},
    {24, {NULL, COFRE_E_RETRY, "something vanished meanwhile", RETRIED}},
    {25, {NULL, COFRE_E_PERMANENT, "the limit of deletions was reached", FAR_LOG}},
    {30, {NULL, COFRE_E_RETRY, "nothing came for the time of io_timeout", RETRIED}},
    {35,
     {NULL, COFRE_E_RETRY, "the daemon did not answer in time", "is the host up, and does a firewall let us through?"}},
    {124, {NULL, COFRE_E_RETRY, "the program on the far side failed", FAR_LOG}},
    {125, {NULL, COFRE_E_RETRY, "the program on the far side was killed", FAR_LOG}},
    {126, {NULL, COFRE_E_CONFIG, "rsync cannot be run on the far side", "see rsync_path"}},
    {127,
     {NULL, COFRE_E_CONFIG, "there is no rsync on the far side", "install rsync there, or name it with rsync_path"}},
    {255, {NULL, COFRE_E_RETRY, "ssh lost or got no connection", RETRIED}},
};

/* The line that p is in, without the program's name in front; length of what is left. */
static const char *line_of(const char *text, const char *p, size_t *length)
{
    static const char *const prefixes[] = {"rsync error: ", "rsync: ", "ssh: ", "/usr/bin/rrsync error: ", "ERROR: "};
    while (p > text && p[-1] != '\n')
        p--;
    for (size_t i = 0; i < sizeof prefixes / sizeof *prefixes; i++)
        if (strncmp(p, prefixes[i], strlen(prefixes[i])) == 0) {
            p += strlen(prefixes[i]);
            break;
        }
    *length = strcspn(p, "\r\n");
    return p;
}

/* What says most when no sign is known: the first line of rsync that is not about its end. */
static const char *first_line(const char *text)
{
    for (const char *p = text; p && *p; p = strchr(p, '\n') ? strchr(p, '\n') + 1 : NULL)
        if (strncmp(p, "rsync: ", 7) == 0 && strncmp(p, "rsync: connection unexpectedly", 30) != 0)
            return p;
    return NULL;
}

static int32_t say(struct cofre_error *error, const char *what, const char *target, const struct verdict *v,
                   const char *text, const char *at)
{
    char shown[FAILURE_QUOTE_MAX], cause[FAILURE_QUOTE_MAX] = "";
    size_t length = 0;
    const char *line = at ? line_of(text, at, &length) : "";
    failure_quote(line, length, cause);
    cofre_fail(error, v->class, "%s, target '%s': %s", what, failure_quote(target, strlen(target), shown),
               v->cause ? v->cause : cause);
    if (v->cause && !v->sign && length > 0 && strlen(error->message) + length + 3 < sizeof error->message) {
        size_t used = strlen(error->message);
        snprintf(error->message + used, sizeof error->message - used, ": %s", cause);
    }
    cofre_hint(error, "%s", v->hint);
    return v->class;
}

int32_t verdict_fail(struct cofre_error *error, const char *what, const char *target, int status, const char *text)
{
    static const struct verdict unknown = {NULL, COFRE_E_PERMANENT, "rsync ended with a status it does not document",
                                           FAR_LOG};
    const struct verdict *v = NULL;
    const char *at = NULL;
    for (size_t i = 0; !v && i < sizeof signs / sizeof *signs; i++)
        if ((at = strstr(text, signs[i].sign)))
            v = &signs[i];
    if (!v)
        at = first_line(text);
    for (size_t i = 0; !v && i < sizeof statuses / sizeof *statuses; i++)
        if (statuses[i].status == status)
            v = &statuses[i].verdict;
    /* A program that somebody killed here: as if the line had been cut. */
    if (!v && status > 128 && status < 160)
        v = &statuses[10].verdict;
    int32_t class = say(error, what, target, v ? v : &unknown, text, at);
    snprintf(error->code, sizeof error->code, "exit %d", status);
    return class;
}

bool verdict_is_crowded(const char *text)
{
    return strstr(text, CROWDED) != NULL;
}
