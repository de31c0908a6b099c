/* The index of a repository that is not there: what a run pays for its size. Driven by tests/bench/scale.
 *
 *   bench_scale make DIRECTORY CHUNKS     absorb an index object for each day
 *   bench_scale list DIRECTORY CHUNKS     what the sink would list, to DIRECTORY.packs
 *   bench_scale run DIRECTORY CHUNKS      be a run: open it, be told of the packs, look chunks up, absorb one day more
 *
 * Ids and names are hashes of numbers, so that nothing need be kept of what was made. Each line of output is a name and
 * a number.
 */
#include <inttypes.h>
#include <limits.h>
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

/* Of this process, in MiB: VmHWM. */
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

static FILE *open_listing(const char *path, const char *mode)
{
    char listing[PATH_MAX];
    snprintf(listing, sizeof listing, "%s.packs", path);
    FILE *file = fopen(listing, mode);
    if (!file) {
        perror(listing);
        exit(1);
    }
    return file;
}

static void list(const char *path, uint64_t days)
{
    uint64_t count = days * (DAY / PACK);
    struct index_pack *packs = list_packs(count);
    FILE *file = open_listing(path, "w");
    if (fwrite(packs, sizeof *packs, count, file) != count || fclose(file) != 0)
        exit(1);
    free(packs);
}

/* As repository_each_packs gives it: by the first two digits. */
static void tell(struct index *index, const char *path, uint64_t count)
{
    struct error e;
    FILE *file = open_listing(path, "r");
    size_t most = count / 128 + 1000, n = 0, got;
    struct index_pack *packs = calloc(most, sizeof *packs);
    if (!packs || index_present_begin(index, &e) < 0)
        exit(1);
    while ((got = fread(packs + n, sizeof *packs, most - n, file)) > 0 || n > 0) {
        size_t batch = 1;
        n += got;
        while (batch < n && packs[batch].name.hash[0] == packs[0].name.hash[0])
            batch++;
        if (index_present_take(index, packs, batch, &e) < 0)
            fail(&e);
        memmove(packs, packs + batch, (n - batch) * sizeof *packs);
        n -= batch;
    }
    if (index_present_end(index, &e) < 0)
        fail(&e);
    free(packs);
    fclose(file);
}

/* By what is remembered of a look. */
static void recall(struct index *index)
{
    struct error e;
    double start = now();
    struct bytes absent = {.maximum = (size_t)1 << 20};
    if (index_absent(index, &absent, &e) < 0)
        fail(&e);
    printf("absent_seconds %.3f\n", now() - start);
    start = now();
    if (index_set_absent(index, absent.data, absent.length / SEAL_HASH_SIZE, &e) < 0)
        fail(&e);
    printf("recall_seconds %.3f\n", now() - start);
    bytes_free(&absent);
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

/* Of numbers below most, if that is not 0; else such as are nowhere. So many follow each other, as in a file. */
static uint8_t *make_ids(uint64_t most, uint64_t row)
{
    uint8_t *ids = malloc((size_t)IDS * SEAL_HASH_SIZE);
    uint64_t number = 88172645463325252u, first = 0;
    if (!ids)
        exit(1);
    for (size_t i = 0; i < IDS; i++) {
        number ^= number << 13;
        number ^= number >> 7;
        number ^= number << 17;
        first = i % row == 0 ? number - number % row : first;
        number_hash(most ? 'c' : 'n', (most ? first % most : first) + i % row, ids + i * SEAL_HASH_SIZE);
    }
    return ids;
}

static void look_up(const struct index *index, const char *what, uint64_t most, uint64_t row)
{
    struct index_location at;
    uint8_t *ids = make_ids(most, row);
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
    double start = now(), processor = clock_of(CLOCK_PROCESS_CPUTIME_ID);
    struct index *index = open_index(path, days);
    printf("open_seconds %.3f\n", now() - start);
    tell(index, path, days * (DAY / PACK));
    printf("start_seconds %.3f\nstart_processor_seconds %.3f\n", now() - start,
           clock_of(CLOCK_PROCESS_CPUTIME_ID) - processor);
    recall(index);
    look_up(index, "lookups", days * DAY, PACK);
    look_up(index, "scattered", days * DAY, 1);
    look_up(index, "absent", 0, 1);
    start = now();
    absorb_day(index, days);
    if (index_settle(index, &e) < 0)
        fail(&e);
    printf("day_seconds %.3f\n", now() - start);
    printf("peak_mib %.1f\n", memory("VmHWM"));
    start = now();
    if (index_merge(index, &e) < 0)
        fail(&e);
    printf("merge_seconds %.3f\nmerge_peak_mib %.1f\n", now() - start, memory("VmHWM"));
    index_free(index);
}

static const struct {
    const char *name;
    void (*run)(const char *path, uint64_t days);
} steps[] = {{"make", make}, {"list", list}, {"run", run}};

int main(int argc, char **argv)
{
    struct error e;
    uint64_t days = argc == 4 ? strtoull(argv[3], NULL, 10) / DAY : 0;
    for (size_t i = 0; days > 0 && i < sizeof steps / sizeof steps[0]; i++) {
        if (strcmp(argv[1], steps[i].name) != 0)
            continue;
        if (seal_init(&e) < 0)
            fail(&e);
        steps[i].run(argv[2], days);
        return 0;
    }
    fprintf(stderr, "usage: bench_scale make|list|run DIRECTORY CHUNKS\n");
    return 2;
}
