/* Of an index: which segments it is made of. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "repository/index.h"
#include "repository/index_table.h"

#define LIST_MAGIC UINT64_C(0x016c786572666f63)
#define LIST_MAX ((size_t)64 << 20)
#define NUMBER_DIGITS 16

struct list_header {
    uint64_t magic;
    uint8_t identity[SEAL_HASH_SIZE];
    uint64_t next;
    uint8_t hash[SEAL_HASH_SIZE]; /* of the entries, and of this up to here */
};

void index_list_path(const struct index *index, uint64_t number, char out[PATH_MAX + 32])
{
    if (number == 0)
        snprintf(out, PATH_MAX + 32, "%s/list", index->path);
    else
        snprintf(out, PATH_MAX + 32, "%s/%0*llx", index->path, NUMBER_DIGITS, (unsigned long long)number);
}

static void hash_list(const struct list_header *h, const void *entries, size_t n, uint8_t hash[SEAL_HASH_SIZE])
{
    struct seal_hasher hasher;
    seal_hasher_init(&hasher);
    seal_hasher_add(&hasher, h, offsetof(struct list_header, hash));
    if (n > 0)
        seal_hasher_add(&hasher, entries, n);
    seal_hasher_end(&hasher, hash);
}

int index_list_read(const struct index *index, struct index_list *list, struct error *e)
{
    AUTO_BYTES struct bytes file = {.maximum = LIST_MAX};
    char path[PATH_MAX + 32];
    *list = (struct index_list){.next = 1, .entries = {.maximum = LIST_MAX}};
    index_list_path(index, 0, path);
    if (file_read_own(path, LIST_MAX, &file, e) < 0)
        return e->class == ERROR_NOT_FOUND ? 0 : error_context(e, "index cache: ");
    struct list_header h;
    uint8_t hash[SEAL_HASH_SIZE];
    if (file.length < sizeof h || (file.length - sizeof h) % sizeof(struct index_entry) != 0)
        return 0;
    memcpy(&h, file.data, sizeof h);
    hash_list(&h, file.data + sizeof h, file.length - sizeof h, hash);
    if (h.magic != LIST_MAGIC || memcmp(h.hash, hash, sizeof hash) != 0 ||
        memcmp(h.identity, index->identity, sizeof h.identity) != 0)
        return 0;
    list->next = h.next;
    bytes_put(&list->entries, file.data + sizeof h, file.length - sizeof h);
    return bytes_check(&list->entries, "index cache", e);
}

/* Files of segments that nothing names: of a process that died, or of somebody else's index. */
static void remove_others(const struct index *index, const struct index_list *list)
{
    DIR *stream = opendir(index->path);
    for (const struct dirent *file; stream && (file = readdir(stream));) {
        char *end, path[PATH_MAX + 32];
        uint64_t number = strtoull(file->d_name, &end, 16);
        if (strlen(file->d_name) != NUMBER_DIGITS || *end != '\0' || number == 0 || index_list_has(list, number))
            continue;
        index_list_path(index, number, path);
        unlink(path);
    }
    if (stream)
        closedir(stream);
}

int index_list_write(const struct index *index, const struct index_list *list, struct error *e)
{
    AUTO_BYTES struct bytes file = {.maximum = LIST_MAX + sizeof(struct list_header)};
    struct list_header h = {.magic = LIST_MAGIC, .next = list->next};
    char path[PATH_MAX + 32];
    memcpy(h.identity, index->identity, sizeof h.identity);
    hash_list(&h, list->entries.data, list->entries.length, h.hash);
    bytes_put(&file, &h, sizeof h);
    bytes_put(&file, list->entries.data, list->entries.length);
    index_list_path(index, 0, path);
    if (bytes_check(&file, "index cache", e) < 0 || file_write(path, file.data, file.length, FILE_REPLACE, e) < 0)
        return -1;
    remove_others(index, list);
    return 0;
}

static struct index_entry *find_entry(const struct index_list *list, uint64_t number)
{
    struct index_entry *entry = (void *)list->entries.data;
    for (size_t i = 0; i < list->entries.length / sizeof *entry; i++)
        if (entry[i].number == number)
            return &entry[i];
    return NULL;
}

bool index_list_has(const struct index_list *list, uint64_t number)
{
    return find_entry(list, number) != NULL;
}

void index_list_remove(struct index_list *list, uint64_t number)
{
    struct index_entry *entry = find_entry(list, number);
    if (!entry)
        return;
    size_t after = (size_t)(list->entries.data + list->entries.length - (const uint8_t *)(entry + 1));
    memmove(entry, entry + 1, after);
    list->entries.length -= sizeof *entry;
}

int index_list_add(struct index_list *list, uint64_t number, const char *host, struct error *e)
{
    struct index_entry entry = {.number = number};
    snprintf(entry.host, sizeof entry.host, "%s", host);
    bytes_put(&list->entries, &entry, sizeof entry);
    return bytes_check(&list->entries, "index cache", e);
}

int index_list_lock(const struct index *index, struct error *e)
{
    char path[PATH_MAX + 8];
    snprintf(path, sizeof path, "%s/lock", index->path);
    if (file_make_directories(index->path, e) < 0)
        return -1;
    int fd = file_open(path, O_RDWR | O_CREAT, e);
    if (fd < 0)
        return error_context(e, "lock: ");
    while (flock(fd, LOCK_EX) < 0) {
        if (errno == EINTR)
            continue;
        error_system(e, errno, "lock '%s'", path);
        close(fd);
        return -1;
    }
    return fd;
}
