#include "redis/lineage.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/ownfile.h"

/* ---- who is who ---- */

bool lineage_is_id(const char *text)
{
    return strlen(text) == LINEAGE_ID && strspn(text, "0123456789abcdef") == LINEAGE_ID &&
           strspn(text, "0") < LINEAGE_ID;
}

static bool is_same_id(const char *a, const char *b)
{
    return lineage_is_id(a) && strcmp(a, b) == 0;
}

static bool continues(const struct lineage *known, const struct lineage *now, const char *const others[2])
{
    return is_same_id(known->run_id, now->run_id) || is_same_id(known->replid, now->replid) ||
           is_same_id(known->replid, others[0]) || is_same_id(known->replid, others[1]);
}

/* LINEAGES_MAX: none. */
static size_t find(const struct lineages *l, const struct lineage *now, const char *const others[2])
{
    for (size_t i = 0; i < l->count; i++)
        if (continues(&l->known[i], now, others))
            return i;
    for (size_t i = 0; i < l->count; i++)
        if (family_meet(&l->known[i].families, &now->families))
            return i;
    return l->count > 0 && l->known[0].families.count == 0 ? 0 : LINEAGES_MAX;
}

const char *lineage_meet(struct lineages *lineages, const struct lineage *now, const char *const others[2])
{
    struct lineage met = *now;
    size_t at = find(lineages, now, others);
    if (at < LINEAGES_MAX) {
        const struct lineage *known = &lineages->known[at];
        memcpy(met.name, known->name, sizeof met.name);
        if (met.families.count == 0)
            met.families = known->families;
    } else if (now->families.count == 0 && lineages->count > 0) {
        return now->run_id;
    } else {
        memcpy(met.name, now->run_id, sizeof met.name);
        at = lineages->count < LINEAGES_MAX ? lineages->count++ : LINEAGES_MAX - 1;
    }
    memmove(lineages->known + 1, lineages->known, at * sizeof met);
    lineages->known[0] = met;
    return lineages->known[0].name;
}

/* ---- the file: a line "NAME RUN_ID REPLID HASH,HASH,...", for each ---- */

static void read_families(struct family_set *set, const char *text)
{
    char *end;
    for (set->count = 0; set->count < FAMILY_MAX && *text; text = *end ? end + 1 : end) {
        uint64_t hash = strtoull(text, &end, 16);
        if (end == text || (set->count > 0 && hash <= set->hashes[set->count - 1]))
            return;
        set->hashes[set->count++] = hash;
    }
}

int lineage_load(struct lineages *lineages, const char *path)
{
    char line[4 * (LINEAGE_ID + 1) + 17 * FAMILY_MAX + 2], families[17 * FAMILY_MAX + 1];
    lineages->count = 0;
    FILE *f = ownfile_read(path);
    if (!f)
        return errno == ENOENT ? 0 : errno;
    while (lineages->count < LINEAGES_MAX && fgets(line, sizeof line, f)) {
        struct lineage *l = &lineages->known[lineages->count];
        families[0] = '\0';
        if (sscanf(line, "%40s %40s %40s %1088s", l->name, l->run_id, l->replid, families) < 3 ||
            !lineage_is_id(l->name))
            continue;
        read_families(&l->families, families);
        lineages->count++;
    }
    int failed = ferror(f) ? EIO : 0;
    fclose(f);
    return failed;
}

static void write_line(FILE *f, const struct lineage *l)
{
    fprintf(f, "%s %s %s ", l->name, l->run_id[0] ? l->run_id : "-", l->replid[0] ? l->replid : "-");
    for (size_t i = 0; i < l->families.count; i++)
        fprintf(f, "%s%016" PRIx64, i ? "," : "", l->families.hashes[i]);
    fputc('\n', f);
}

int lineage_store(const struct lineages *lineages, const char *path)
{
    char beside[4300];
    if (snprintf(beside, sizeof beside, "%s.new", path) >= (int)sizeof beside)
        return ENAMETOOLONG;
    int fd = ownfile_make(beside);
    FILE *f = fd < 0 ? NULL : fdopen(fd, "w");
    if (!f) {
        int failed = errno;
        if (fd >= 0)
            close(fd);
        return failed;
    }
    for (size_t i = 0; i < lineages->count; i++)
        write_line(f, &lineages->known[i]);
    int failed = fflush(f) != 0 || fsync(fd) < 0 ? errno : 0;
    if (fclose(f) != 0 && !failed)
        failed = errno;
    if (!failed && rename(beside, path) < 0)
        failed = errno;
    if (failed)
        unlink(beside);
    return failed;
}
