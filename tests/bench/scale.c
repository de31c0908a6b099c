/* The index of a repository that is not there: what a run pays for its size. Driven by tests/bench/scale.
 *
 *   bench_scale make DIRECTORY CHUNKS     absorb an index object for each day
 *   bench_scale run DIRECTORY CHUNKS      be a run: open it, be told of the packs, look chunks up, absorb one day more
 *
 * Ids and names are hashes of numbers, so that nothing need be kept of what was made. Each line of output is a name and
 * a number.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/bytes.h"
#include "base/error.h"
#include "repository/index.h"
#include "repository/index_body.h"
#include "repository/seal.h"

#define DAY 20000u /* chunks */
#define PACK 16u   /* chunks in one */
#define STORED 1000u
#define LOOKUPS 1000000u
#define IDS 200000u

static const uint8_t identity[SEAL_HASH_SIZE] = {1}, signer[SEAL_HASH_SIZE] = {2};

static void fail(const struct error *e)
{
    fprintf(stderr, "bench_scale: %s\n", e->message);
    exit(1);
}

static double clock_of(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static double now(void)
{
    return clock_of(CLOCK_MONOTONIC);
}

/* Of this process, in MiB: VmHWM or VmRSS. */
static double memory(const char *what)
{
    char line[256];
    double kib = 0;
    FILE *file = fopen("/proc/self/status", "r");
    while (file && fgets(line, sizeof line, file))
        if (strncmp(line, what, strlen(what)) == 0)
            kib = strtod(line + strlen(what) + 1, NULL);
    if (file)
        fclose(file);
    return kib / 1024;
}

/* The peak counts from here on. */
static void forget_peak(void)
{
    FILE *file = fopen("/proc/self/clear_refs", "w");
    if (!file || fputs("5", file) < 0 || fclose(file) != 0)
        fprintf(stderr, "bench_scale: the peak of memory is that of all\n");
}

static void number_hash(char kind, uint64_t number, uint8_t hash[SEAL_HASH_SIZE])
{
    uint64_t of[2] = {(uint64_t)kind, number};
    seal_hash(of, sizeof of, hash);
}

static uint64_t pack_size(void)
{
    return PACK_HEADER_SIZE + PACK * STORED + PACK_END(PACK);
}

static void add_pack(struct bytes *body, uint64_t number)
{
    struct pack_chunk chunks[PACK];
    uint8_t name[SEAL_HASH_SIZE];
    number_hash('p', number, name);
    for (uint32_t i = 0; i < PACK; i++) {
        number_hash('c', number * PACK + i, chunks[i].id);
        chunks[i].offset = PACK_HEADER_SIZE + i * STORED;
        chunks[i].stored = STORED;
        chunks[i].plain = STORED;
    }
    index_body_add_pack(body, name, pack_size(), chunks, PACK);
}

/* What one day adds. */
static void absorb_day(struct index *index, uint64_t day)
{
    struct error e;
    struct bytes body = {.maximum = INDEX_BODY_MAX};
    uint8_t name[SEAL_HASH_SIZE];
    const struct index_origin origin = {.object = name, .signer = signer};
    number_hash('o', day, name);
    index_body_begin(&body, "host", 1);
    for (uint64_t i = 0; i < DAY / PACK; i++)
        add_pack(&body, day * (DAY / PACK) + i);
    index_body_end(&body, DAY / PACK);
    if (bytes_check(&body, "index", &e) < 0 || index_absorb(index, &origin, body.data, body.length, &e) < 0)
        fail(&e);
    bytes_free(&body);
}

static int compare_names(const void *a, const void *b)
{
    return memcmp(a, b, SEAL_HASH_SIZE);
}

static uint8_t *list_objects(uint64_t days)
{
    uint8_t *names = malloc(days * SEAL_HASH_SIZE);
    if (!names)
        exit(1);
    for (uint64_t i = 0; i < days; i++)
        number_hash('o', i, names + i * SEAL_HASH_SIZE);
    qsort(names, days, SEAL_HASH_SIZE, compare_names);
    return names;
}

static struct index_pack *list_packs(uint64_t count)
{
    struct index_pack *packs = calloc(count, sizeof *packs);
    if (!packs)
        exit(1);
    for (uint64_t i = 0; i < count; i++) {
        packs[i].name.host = pack_name_number("host");
        packs[i].size = (uint32_t)pack_size();
        number_hash('p', i, packs[i].name.hash);
    }
    qsort(packs, count, sizeof *packs, pack_name_compare);
    return packs;
}

static struct index *open_index(const char *path, uint64_t days)
{
    struct error e;
    struct index *index;
    uint8_t *names = list_objects(days + 1);
    if (index_open(path, identity, "host", &index, &e) < 0 || index_set_own(index, names, days + 1, &e) < 0)
        fail(&e);
    index_retain(index, names, days + 1, SEAL_HASH_SIZE);
    free(names);
    return index;
}

static void make(const char *path, uint64_t days)
{
    struct error e;
    double start = now();
    struct index *index = open_index(path, days);
    for (uint64_t i = 0; i < days; i++)
        absorb_day(index, i);
    if (index_settle(index, &e) < 0 || index_merge(index, &e) < 0)
        fail(&e);
    index_free(index);
    printf("make_seconds %.2f\nmake_peak_mib %.1f\n", now() - start, memory("VmHWM"));
}

/* Of numbers below most, if that is not 0; else such as are nowhere. */
static uint8_t *make_ids(uint64_t most)
{
    uint8_t *ids = malloc((size_t)IDS * SEAL_HASH_SIZE);
    uint64_t number = 88172645463325252u;
    if (!ids)
        exit(1);
    for (size_t i = 0; i < IDS; i++) {
        number ^= number << 13;
        number ^= number >> 7;
        number ^= number << 17;
        number_hash(most ? 'c' : 'n', most ? number % most : number, ids + i * SEAL_HASH_SIZE);
    }
    return ids;
}

static void look_up(const struct index *index, const char *what, uint64_t most)
{
    struct index_location at;
    uint8_t *ids = make_ids(most);
    uint64_t found = 0;
    double start = now(), processor = clock_of(CLOCK_PROCESS_CPUTIME_ID);
    for (size_t i = 0; i < LOOKUPS; i++)
        found += index_find(index, ids + i % IDS * SEAL_HASH_SIZE, INDEX_RELY_OWN, 0, &at);
    printf("%s_per_second %.0f\n%s_per_processor_second %.0f\n", what, LOOKUPS / (now() - start), what,
           LOOKUPS / (clock_of(CLOCK_PROCESS_CPUTIME_ID) - processor));
    free(ids);
    if (found != (most ? LOOKUPS : 0)) {
        fprintf(stderr, "bench_scale: of %u chunks %" PRIu64 " were found\n", LOOKUPS, found);
        exit(1);
    }
}

static void run(const char *path, uint64_t days)
{
    struct error e;
    uint64_t count = days * (DAY / PACK);
    double start = now();
    struct index_pack *packs = list_packs(count);
    printf("listing_seconds %.2f\nlisting_mib %.1f\nlisting_peak_mib %.1f\n", now() - start, memory("VmRSS"),
           memory("VmHWM"));
    forget_peak();
    double listed = memory("VmRSS");
    start = now();
    struct index *index = open_index(path, days);
    printf("open_seconds %.3f\n", now() - start);
    if (index_set_present(index, packs, count, &e) < 0)
        fail(&e);
    printf("start_seconds %.3f\n", now() - start);
    look_up(index, "lookups", days * DAY);
    look_up(index, "absent", 0);
    start = now();
    absorb_day(index, days);
    if (index_settle(index, &e) < 0)
        fail(&e);
    printf("day_seconds %.3f\n", now() - start);
    printf("peak_besides_listing_mib %.1f\n", memory("VmHWM") - listed);
    start = now();
    if (index_merge(index, &e) < 0)
        fail(&e);
    printf("merge_seconds %.3f\nmerge_peak_mib %.1f\n", now() - start, memory("VmHWM") - listed);
    index_free(index);
    free(packs);
}

int main(int argc, char **argv)
{
    struct error e;
    uint64_t days = argc == 4 ? strtoull(argv[3], NULL, 10) / DAY : 0;
    if (days == 0 || seal_init(&e) < 0) {
        fprintf(stderr, "usage: bench_scale make|run DIRECTORY CHUNKS\n");
        return 2;
    }
    (strcmp(argv[1], "make") == 0 ? make : run)(argv[2], days);
    return 0;
}
