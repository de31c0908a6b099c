#include "redis/undo.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cofre/plugin.h"
#include "common/ownfile.h"
#include "redis/direct.h"
#include "redis/info.h"
#include "redis/link.h"
#include "redis/primary.h"
#include "redis/rescue.h"
#include "redis/wait.h"

#define NOTE_PATH 4200
#define PAUSE 50 /* ms */

static int32_t note_path(struct cofre_call *call, const char *id, char path[NOTE_PATH], const char **directory,
                         struct cofre_error *error)
{
    int32_t class = cofre->directory(call, directory, error);
    if (class == COFRE_OK)
        snprintf(path, NOTE_PATH, "%s/restore-%s", *directory, id);
    return class;
}

static int sync_directory(const char *path)
{
    int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    int failed = fd < 0 || fsync(fd) < 0 ? errno : 0;
    if (fd >= 0)
        close(fd);
    return failed;
}

int32_t undo_note(const struct primary *primary, const char *direct, struct cofre_call *call, struct cofre_error *error)
{
    char path[NOTE_PATH], line[PRIMARY_HOST + 16 + DIRECT_VALUE];
    const char *directory, *id = cofre->id(call);
    if (!id)
        return cofre_fail(error, COFRE_E_BUG, "the host gave no id for this restore");
    int32_t class = note_path(call, id, path, &directory, error);
    if (class != COFRE_OK)
        return class;
    int n = snprintf(line, sizeof line, "%s %d %s\n", primary->host, primary->port, direct);
    int fd = ownfile_open(path, O_WRONLY | O_CREAT | O_APPEND);
    int failed = fd < 0 || write(fd, line, (size_t)n) != n || fsync(fd) < 0 ? errno : 0;
    if (fd >= 0)
        close(fd);
    if (!failed)
        failed = sync_directory(directory);
    return failed ? cofre_fail_errno(error, failed, "write '%s'", path) : COFRE_OK;
}

int32_t undo_promote(struct link *link, struct cofre_call *call, struct cofre_error *error)
{
    return link_do(link, call, error, LINK_WORDS("REPLICAOF", "NO", "ONE"));
}

/* Does the note name this primary? direct: what the setting was before the first change. */
static bool is_noted(FILE *note, const char *info, char direct[DIRECT_VALUE])
{
    char host[PRIMARY_HOST], noted[PRIMARY_HOST], value[DIRECT_VALUE];
    int port;
    bool found = false;
    info_text(info, "master_host", host, sizeof host);
    snprintf(direct, DIRECT_VALUE, DIRECT_NONE);
    while (fscanf(note, "%255s %d %31s", noted, &port, value) == 3) {
        found = found || (strcmp(noted, host) == 0 && (uint64_t)port == info_number(info, "master_port"));
        if (strcmp(direct, DIRECT_NONE) == 0)
            snprintf(direct, DIRECT_VALUE, "%s", value);
    }
    return found;
}

/* A server that loads takes no REPLICAOF; what it loads is complete, and stays. */
static int32_t await_loaded(struct link *link, struct cofre_call *call, char **info, struct cofre_error *error)
{
    for (;;) {
        int32_t class = link_info(link, call, info, error);
        if (class != COFRE_OK || !info_is(*info, "loading", "1"))
            return class;
        free(*info);
        *info = NULL;
        cofre->progress(call, 0, 0);
        class = wait_for(call, -1, 0, PAUSE, link->name, error);
        if (class != COFRE_OK)
            return class;
    }
}

/* The restore died, or it would have said itself where that is. */
static void say_rescue(struct cofre_call *call, const char *path)
{
    char line[RESCUE_PATH + 80];
    snprintf(line, sizeof line, "what the server held before the restore is kept in '%s'", path);
    cofre->log(call, COFRE_LOG_NOTICE, line);
}

static int32_t put_right(FILE *note, const struct conf *conf, struct cofre_call *call, const char *rescue,
                         struct cofre_error *error)
{
    struct link *link;
    char *info = NULL, direct[DIRECT_VALUE];
    int32_t class = link_reach(conf, call, error);
    if (class == COFRE_OK)
        class = link_open(call, conf, &link, error);
    if (class != COFRE_OK)
        return class;
    class = await_loaded(link, call, &info, error);
    bool noted = class == COFRE_OK && is_noted(note, info, direct);
    if (noted && info_is(info, "role", "slave")) {
        class = undo_promote(link, call, error);
        if (class == COFRE_OK)
            cofre->log(call, COFRE_LOG_WARNING, "the server was still set to take data from us: it is a primary again");
        if (class == COFRE_OK && rescue)
            say_rescue(call, rescue);
    }
    if (class == COFRE_OK)
        class = direct_end(link, call, direct, error);
    free(info);
    link_close(link);
    return class;
}

int32_t undo_all(const struct conf *conf, struct cofre_call *call, const char *id, struct cofre_error *error)
{
    char path[NOTE_PATH], rescue[RESCUE_PATH];
    const char *directory;
    bool whole;
    int32_t class = note_path(call, id, path, &directory, error);
    if (class == COFRE_OK)
        class = rescue_clean(call, id, rescue, &whole, error);
    if (class != COFRE_OK)
        return class;
    FILE *note = ownfile_read(path);
    if (!note) /* it was never told anything, or all is done */
        return errno == ENOENT ? COFRE_OK : cofre_fail_errno(error, errno, "read '%s'", path);
    class = put_right(note, conf, call, whole ? rescue : NULL, error);
    fclose(note);
    if (class == COFRE_OK && unlink(path) < 0 && errno != ENOENT)
        class = cofre_fail_errno(error, errno, "remove '%s'", path);
    return class;
}
