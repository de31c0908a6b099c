#include "local/listing.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

struct walk {
    struct place *place;
    struct cofre_call *call;
    const char *prefix;
    char after[COFRE_MAX_KEY + 1]; /* keys up to this one are on earlier pages; "" = none */
    char key[COFRE_MAX_KEY + 2];   /* where the walk is; a directory with '/' at the end */
    struct cofre_error *error;
};

/* The names of one directory; those of directories end with '/', which sorts them to where their keys belong. */
struct names {
    char **items;
    size_t count, room;
};

static void names_free(struct names *names)
{
    for (size_t i = 0; i < names->count; i++)
        free(names->items[i]);
    free(names->items);
}

static int names_add(struct names *names, const char *name, bool directory)
{
    if (names->count == names->room) {
        size_t room = names->room ? 2 * names->room : 64;
        char **items = realloc(names->items, room * sizeof *items);
        if (!items)
            return -1;
        names->items = items;
        names->room = room;
    }
    size_t n = strlen(name);
    char *copy = malloc(n + 2);
    if (!copy)
        return -1;
    memcpy(copy, name, n);
    memcpy(copy + n, directory ? "/" : "", directory ? 2 : 1);
    names->items[names->count++] = copy;
    return 0;
}

static int compare(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Could this key, or with '/' at the end a key below it, be asked for? */
static bool is_wanted(const struct walk *walk, const char *key)
{
    size_t n = strlen(key), p = strlen(walk->prefix);
    bool directory = key[n - 1] == '/';
    if (strncmp(key, walk->prefix, directory && n < p ? n : p) != 0)
        return false;
    if (!*walk->after)
        return true;
    int order = strncmp(key, walk->after, n);
    return directory ? order >= 0 : strcmp(key, walk->after) > 0;
}

/* Could a key that begins with this name be asked for? Whatever else lies around in the place is not looked at. */
static bool may_lead(const struct walk *walk, const char *name)
{
    size_t base = strlen(walk->key), p = strlen(walk->prefix), n = strlen(name);
    if (strncmp(walk->key, walk->prefix, base < p ? base : p) != 0)
        return false;
    return p <= base || strncmp(name, walk->prefix + base, n < p - base ? n : p - base) == 0;
}

/* What lies under a name: DT_DIR, DT_REG, or DT_UNKNOWN = it is gone. What is neither a directory nor a file is listed
 * as an object, which nobody can get: it must not seem that there is none, and is in no other's way. */
static int32_t kind_of(struct walk *walk, int directory, const struct dirent *entry, unsigned char *kind)
{
    struct stat st;
    *kind = entry->d_type;
    if (*kind == DT_UNKNOWN) {
        if (fstatat(directory, entry->d_name, &st, AT_SYMLINK_NOFOLLOW) == 0)
            *kind = (unsigned char)IFTODT(st.st_mode);
        else if (errno != ENOENT)
            return place_fail(walk->error, errno, "look at '%s%s'", walk->key, entry->d_name);
    }
    if (*kind != DT_DIR && *kind != DT_UNKNOWN)
        *kind = DT_REG;
    return COFRE_OK;
}

static int32_t collect(struct walk *walk, DIR *list, struct names *names)
{
    struct dirent *entry;
    size_t base = strlen(walk->key);
    while ((errno = 0, entry = readdir(list))) {
        size_t n = strlen(entry->d_name);
        if (!place_is_segment(entry->d_name, n) || base + n > COFRE_MAX_KEY || !may_lead(walk, entry->d_name))
            continue;
        unsigned char kind;
        int32_t result = kind_of(walk, dirfd(list), entry, &kind);
        if (result)
            return result;
        if (kind != DT_UNKNOWN && names_add(names, entry->d_name, kind == DT_DIR))
            return place_fail(walk->error, ENOMEM, "list '%s'", walk->place->path);
    }
    if (errno)
        return place_fail(walk->error, errno, "list directory '%s/%s'", walk->place->path, walk->key);
    if (names->count > 1)
        qsort(names->items, names->count, sizeof *names->items, compare);
    return COFRE_OK;
}

/* The page is full: the object just said is where the next one goes on. */
static int32_t end_page(struct walk *walk)
{
    int32_t result = cofre->more(walk->call, walk->key, strlen(walk->key), walk->error);
    return result ? result : COFRE_END;
}

static int32_t say(struct walk *walk, int directory, const char *name)
{
    struct stat st;
    if (fstatat(directory, name, &st, AT_SYMLINK_NOFOLLOW))
        return errno == ENOENT ? COFRE_OK : place_fail(walk->error, errno, "look at object '%s'", walk->key);
    struct cofre_object object = {.struct_size = sizeof object,
                                  .key = walk->key,
                                  .size = st.st_size,
                                  .mtime = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec};
    int32_t result = cofre->object(walk->call, &object, walk->error);
    return result == COFRE_END ? end_page(walk) : result;
}

static int32_t visit(struct walk *walk, int fd);

/* Keys have at most 200 bytes, so the recursion ends after 100 levels. */
static int32_t visit_name(struct walk *walk, int directory, char *name)
{
    size_t n = strlen(name);
    if (name[n - 1] != '/')
        return say(walk, directory, name);
    name[n - 1] = '\0';
    int fd = openat(directory, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0)
        return errno == ENOENT ? COFRE_OK : place_fail(walk->error, errno, "list directory '%s'", walk->key);
    return visit(walk, fd);
}

static int32_t visit_all(struct walk *walk, int directory, const struct names *names)
{
    size_t base = strlen(walk->key);
    int32_t result = cofre->cancelled(walk->call, walk->error);
    for (size_t i = 0; i < names->count && !result; i++) {
        memcpy(walk->key + base, names->items[i], strlen(names->items[i]) + 1);
        if (is_wanted(walk, walk->key))
            result = visit_name(walk, directory, names->items[i]);
        walk->key[base] = '\0';
    }
    return result;
}

/* The directory fd (which it closes), whose key stands in walk->key. COFRE_END: the page is full. */
static int32_t visit(struct walk *walk, int fd)
{
    DIR *list = fdopendir(fd);
    if (!list) {
        int saved = errno;
        close(fd);
        return place_fail(walk->error, saved, "list directory '%s/%s'", walk->place->path, walk->key);
    }
    struct names names = {0};
    int32_t result = collect(walk, list, &names);
    if (!result)
        result = visit_all(walk, dirfd(list), &names);
    names_free(&names);
    closedir(list);
    return result;
}

int32_t listing_run(struct place *place, struct cofre_call *call, const char *prefix, const void *cursor,
                    size_t cursor_length, struct cofre_error *error)
{
    struct walk walk = {.place = place, .call = call, .prefix = prefix, .error = error};
    if (cursor_length > COFRE_MAX_KEY)
        return cofre_fail(error, COFRE_E_BUG, "list '%s': the cursor is not one of ours", prefix);
    if (cursor)
        memcpy(walk.after, cursor, cursor_length);
    int32_t result = place_need(place, error);
    if (result)
        return result;
    int fd = openat(place->root, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return place_fail(error, errno, "list directory '%s'", place->path);
    result = visit(&walk, fd);
    return result == COFRE_END ? COFRE_OK : result;
}
