#include "repository/pack_name.h"

#include <pthread.h>
#include <search.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"

#define HOSTS_MAX 65536

struct host {
    char name[64];
    uint32_t number;
};

static struct {
    pthread_mutex_t lock;
    void *tree;
    _Atomic(const struct host *) all[HOSTS_MAX]; /* by number; what is there stays */
    uint32_t count;
} hosts = {.lock = PTHREAD_MUTEX_INITIALIZER};

static int compare_hosts(const void *a, const void *b)
{
    return strcmp(((const struct host *)a)->name, ((const struct host *)b)->name);
}

static uint32_t add_locked(const char *name)
{
    struct host *host = hosts.count + 1 < HOSTS_MAX ? malloc(sizeof *host) : NULL;
    if (!host)
        return 0;
    snprintf(host->name, sizeof host->name, "%s", name);
    host->number = hosts.count + 1;
    if (!tsearch(host, &hosts.tree, compare_hosts)) {
        free(host);
        return 0;
    }
    hosts.all[++hosts.count] = host;
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
    const struct host *host = hosts.all[name->host];
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
