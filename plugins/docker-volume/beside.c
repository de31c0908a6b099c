#include "docker-volume/beside.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cofre/plugin.h"
#include "docker-volume/discard.h"

#define OPEN_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

static int32_t split(struct note_item *item, const char *mountpoint, struct cofre_error *error)
{
    const char *slash = strrchr(mountpoint, '/');
    if (mountpoint[0] == '/' && slash > mountpoint && slash[1] &&
        (size_t)snprintf(item->place, sizeof item->place, "%.*s", (int)(slash - mountpoint), mountpoint) <
            sizeof item->place &&
        (size_t)snprintf(item->leaf, sizeof item->leaf, "%s", slash + 1) < sizeof item->leaf)
        return COFRE_OK;
    return cofre_fail(error, COFRE_E_UNSUPPORTED, "fill volume '%s': the daemon says that it is in '%s'", item->volume,
                      mountpoint);
}

static int32_t not_exchangeable(const struct note_item *item, const char *why, struct cofre_error *error)
{
    int32_t class =
        cofre_fail(error, COFRE_E_UNSUPPORTED, "exchange the content of volume '%s': %s", item->volume, why);
    cofre_hint(error, "restore into another volume with --set volume=OTHER, or into a directory with --into DIR");
    return class;
}

int32_t beside_place(const struct note_item *item, int *place, struct cofre_error *error)
{
    *place = open(item->place, OPEN_FLAGS);
    if (*place >= 0)
        return COFRE_OK;
    return cofre_fail_errno(error, errno, "open '%s', where volume '%s' is", item->place, item->volume);
}

int32_t beside_find(struct note_item *item, const struct volume *volume, int data, struct cofre_error *error)
{
    struct stat own, named, above, top;
    int place;
    int32_t status = split(item, volume->mountpoint, error);
    if (status == COFRE_OK)
        status = beside_place(item, &place, error);
    if (status != COFRE_OK)
        return status;
    if (fstat(data, &own) != 0 || fstatat(place, item->leaf, &named, AT_SYMLINK_NOFOLLOW) != 0 ||
        fstat(place, &above) != 0 || fstatat(place, "..", &top, 0) != 0)
        status = cofre_fail_errno(error, errno, "look at volume '%s'", item->volume);
    else if (S_ISLNK(named.st_mode))
        status = not_exchangeable(item, "its directory is a symlink", error);
    else if (own.st_ino != named.st_ino || own.st_dev != named.st_dev)
        status = cofre_fail(error, COFRE_E_CHANGED, "look at volume '%s': its directory was replaced", item->volume);
    else if (own.st_dev != above.st_dev)
        status = not_exchangeable(item, "its directory is a mount point", error);
    else if (above.st_dev != top.st_dev)
        status = not_exchangeable(item, "it is a file system of its own, where its old content cannot be kept", error);
    close(place);
    return status;
}

int32_t beside_identify(struct note_item *item, const struct volume *volume, int data, struct cofre_error *error)
{
    struct stat st;
    int32_t status = split(item, volume->mountpoint, error);
    if (status == COFRE_OK && fstat(data, &st) != 0)
        status = cofre_fail_errno(error, errno, "look at volume '%s'", item->volume);
    if (status == COFRE_OK)
        item->inode = st.st_ino;
    return status;
}

bool beside_is_same(const struct note_item *item, const struct volume *volume)
{
    struct stat st;
    return item->inode && lstat(volume->mountpoint, &st) == 0 && st.st_ino == item->inode;
}

int32_t beside_make(const struct note *note, struct note_item *item, int *fd, struct cofre_error *error)
{
    char name[NOTE_NAME_MAX];
    struct stat st;
    int place;
    int32_t status = beside_place(item, &place, error);
    if (status != COFRE_OK)
        return status;
    note_beside(note, name);
    *fd = mkdirat(place, name, 0700) == 0 ? openat(place, name, OPEN_FLAGS) : -1;
    if (*fd < 0 || fstat(*fd, &st) != 0) {
        status = cofre_fail_errno(error, errno, "make the directory '%s/%s'", item->place, name);
        if (*fd >= 0)
            close(*fd);
    } else {
        item->inode = st.st_ino;
    }
    close(place);
    return status;
}

/* ---- exchanging ---- */

/* 0: name is what was filled beside. Else an errno, ESTALE when it is another one. */
static int look(const struct note_item *item, int place, const char *name)
{
    struct stat st;
    if (fstatat(place, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
        return errno;
    return st.st_ino == item->inode ? 0 : ESTALE;
}

static int32_t exchange_names(const struct note_item *item, int place, const char *beside, struct cofre_error *error)
{
    if (renameat2(place, beside, place, item->leaf, RENAME_EXCHANGE) != 0)
        return cofre_fail_errno(error, errno, "exchange the content of volume '%s'", item->volume);
    if (fsync(place) != 0)
        return cofre_fail_errno(error, errno, "flush '%s' after the exchange of volume '%s'", item->place,
                                item->volume);
    return COFRE_OK;
}

/* from: the name that what was filled has before it. */
static int32_t exchange(const struct note *note, const struct note_item *item, bool back, bool *gone,
                        struct cofre_error *error)
{
    char beside[NOTE_NAME_MAX];
    int place;
    *gone = false;
    int32_t status = beside_place(item, &place, error);
    if (status == COFRE_E_NOT_FOUND) {
        *gone = true;
        return COFRE_OK;
    }
    if (status != COFRE_OK)
        return status;
    note_beside(note, beside);
    const char *from = back ? item->leaf : beside, *to = back ? beside : item->leaf;
    if (look(item, place, from) == 0)
        status = exchange_names(item, place, beside, error);
    else if (look(item, place, to) != 0 && !back)
        status = cofre_fail(error, COFRE_E_INTEGRITY,
                            "exchange the content of volume '%s': what was restored is neither '%s' nor '%s' in '%s'",
                            item->volume, beside, item->leaf, item->place);
    close(place);
    return status;
}

int32_t beside_exchange(const struct note *note, const struct note_item *item, bool *gone, struct cofre_error *error)
{
    return exchange(note, item, false, gone, error);
}

int32_t beside_exchange_back(const struct note *note, const struct note_item *item, bool *gone,
                             struct cofre_error *error)
{
    return exchange(note, item, true, gone, error);
}

bool beside_is_pending(const struct note *note, const struct note_item *item)
{
    char beside[NOTE_NAME_MAX];
    struct cofre_error ignored = {.struct_size = sizeof ignored};
    int place;
    if (beside_place(item, &place, &ignored) != COFRE_OK)
        return false;
    bool pending = look(item, place, note->phase == NOTE_BACK ? item->leaf : note_beside(note, beside)) == 0;
    close(place);
    return pending;
}

int32_t beside_discard(const struct note *note, const struct note_item *item, struct cofre_call *call,
                       struct cofre_error *error)
{
    char name[NOTE_NAME_MAX];
    int place;
    int32_t status = beside_place(item, &place, error);
    if (status == COFRE_E_NOT_FOUND)
        return COFRE_OK;
    if (status != COFRE_OK)
        return status;
    note_beside(note, name);
    /* Never what the volume held, whatever has happened. */
    if (item->inode && look(item, place, name) == ESTALE)
        status = cofre_fail(error, COFRE_E_INTEGRITY, "remove '%s/%s': it is not what was restored", item->place, name);
    else
        status = discard_directory(call, place, name, error);
    close(place);
    return status;
}
