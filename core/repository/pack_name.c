#include "repository/pack_name.h"

#include <pthread.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

/* As many as a listing has keys (SEEN_MAX): whoever may add a key can name a host by it, and the names of others must
 * not find all numbers taken. */
#define PAGE 4096u
#define PAGES 4096u

struct host {
    char name[64];
    uint32_t number;
};

struct page {
    _Atomic(const struct host *) hosts[PAGE];
};

static struct {
    pthread_mutex_t lock;
    void *tree;
    _Atomic(struct page *) pages[PAGES]; /* by number; what is there stays */
    uint32_t count;
} hosts = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int compare_hosts(const void *a, const void *b)
{
    return strcmp(((const struct host *)a)->name, ((const struct host *)b)->name);
}

static struct page *page_locked(uint32_t number)
{
    _Atomic(struct page *) *page = &hosts.pages[number / PAGE];
    if (!*page)
        *page = calloc(1, sizeof(struct page));
    return *page;
}

static uint32_t add_locked(const char *name)
{
    struct page *page = hosts.count + 1 < PAGE * PAGES ? page_locked(hosts.count + 1) : NULL;
    struct host *host = page ? malloc(sizeof *host) : NULL;
    if (!host)
        return 0;
    snprintf(host->name, sizeof host->name, "%s", name);
    host->number = hosts.count + 1;
    if (!tsearch(host, &hosts.tree, compare_hosts)) {
        free(host);
        return 0;
    }
    page->hosts[++hosts.count % PAGE] = host;
    return host->number;
}

uint32_t pack_name_number(const char *host)
{
    struct host wanted;
    if (!text_is_name(host))
        return 0;
    snprintf(wanted.name, sizeof wanted.name, "%s", host);
    pthread_mutex_lock(&hosts.lock);
    struct host **found = tfind(&wanted, &hosts.tree, compare_hosts);
    uint32_t number = found ? (*found)->number : add_locked(host);
    pthread_mutex_unlock(&hosts.lock);
    return number;
}

const char *pack_name_host(const struct pack_name *name)
{
    const struct page *page = name->host < PAGE * PAGES ? hosts.pages[name->host / PAGE] : NULL;
    const struct host *host = page ? page->hosts[name->host % PAGE] : NULL;
    return host ? host->name : "";
}

struct pack_name pack_name_of(const char *host, const uint8_t hash[SEAL_HASH_SIZE])
{
    struct pack_name name = {.host = pack_name_number(host)};
    memcpy(name.hash, hash, sizeof name.hash);
    return name;
}

int pack_name_compare(const void *a, const void *b)
{
    const struct pack_name *one = a, *other = b;
    int order = memcmp(one->hash, other->hash, sizeof one->hash);
    return order != 0 ? order : (one->host > other->host) - (one->host < other->host);
}

bool pack_name_is(const struct pack_name *a, const struct pack_name *b)
{
    return pack_name_compare(a, b) == 0;
}

void pack_name_key(const struct pack_name *name, char *out)
{
    char hex[2 * SEAL_HASH_SIZE + 1];
    text_hex(name->hash, SEAL_HASH_SIZE, hex);
    snprintf(out, 201, "packs/%s/%.2s/%s", pack_name_host(name), hex, hex);
}

bool pack_name_parse_key(const char *key, struct pack_name *name)
{
    char host[64], start[3], hex[2 * SEAL_HASH_SIZE + 1];
    int end = 0;
    if (sscanf(key, "packs/%63[^/]/%2[^/]/%64[^/]%n", host, start, hex, &end) != 3 || key[end] != '\0' ||
        strncmp(start, hex, 2) != 0 || !text_parse_hex(hex, name->hash, sizeof name->hash))
        return false;
    name->host = pack_name_number(host);
    return name->host != 0;
}
