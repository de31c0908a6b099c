/* Of an index: whose word its rows are, and how much of one signer's it takes. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "repository/index.h"
#include "repository/index_table.h"

#define ROWS_ALWAYS (256u << 10) /* of a signer, however little is stored */
#define BYTES_A_ROW (64u << 10)  /* of all packs; beyond ROWS_ALWAYS */
#define ROWS_A_PACK 2            /* that a pack counts as, besides its chunks */

static const uint8_t nobody[SEAL_HASH_SIZE];

static int compare_names(const void *a, const void *b)
{
    return memcmp(a, b, SEAL_HASH_SIZE);
}

static const char *host_at(const struct index *index, size_t i)
{
    size_t old = index->header ? index->header->hosts : 0;
    return i < old ? index->hosts + i * INDEX_HOST_SIZE
                   : (const char *)index->new_hosts.data + (i - old) * INDEX_HOST_SIZE;
}

int index_host_row(struct index *index, const char *host, uint32_t *row, struct error *e)
{
    size_t count = (index->header ? index->header->hosts : 0) + index->new_hosts.length / INDEX_HOST_SIZE;
    char name[INDEX_HOST_SIZE] = "";
    for (*row = 0; *row < count; ++*row)
        if (strcmp(host_at(index, *row), host) == 0)
            return 0;
    if (pack_name_number(host) == 0)
        return error_set(e, ERROR_INTEGRITY, "index object is of a host '%s', which is no name", host);
    snprintf(name, sizeof name, "%s", host);
    bytes_put(&index->new_hosts, name, sizeof name);
    return bytes_check(&index->new_hosts, "index", e);
}

bool index_row_is_own(const struct index *index, const struct pack_row *row)
{
    if (memcmp(row->object, nobody, sizeof nobody) == 0)
        return row->own;
    return index->own_count > 0 && bsearch(row->object, index->own, index->own_count, SEAL_HASH_SIZE, compare_names);
}

bool index_row_is_bounded(const struct index *index, const struct pack_row *row)
{
    return memcmp(row->object, nobody, sizeof nobody) != 0 && !index_row_is_own(index, row);
}

int index_set_own(struct index *index, const uint8_t *names, size_t count, struct error *e)
{
    if (index_copy_names(names, count, &index->own, &index->own_count, e) < 0)
        return -1;
    for (size_t i = 0; i < index_pack_count(index); i++)
        index->is_own[i] = index_row_is_own(index, &index->packs[i]);
    return 0;
}

void index_set_listed(struct index *index, uint64_t bytes)
{
    index->listed = bytes;
}

bool index_is_crowded(const struct index *index)
{
    return index->crowded;
}

/* ---- shares ---- */

static struct share *find_share(struct index *index, const uint8_t signer[SEAL_HASH_SIZE], struct error *e)
{
    struct share *all = (void *)index->shares.data;
    size_t count = index->shares.length / sizeof *all;
    for (size_t i = 0; i < count; i++)
        if (memcmp(all[i].signer, signer, SEAL_HASH_SIZE) == 0)
            return &all[i];
    struct share fresh = {.rows = 0};
    memcpy(fresh.signer, signer, SEAL_HASH_SIZE);
    bytes_put(&index->shares, &fresh, sizeof fresh);
    if (bytes_check(&index->shares, "list of signers", e) < 0)
        return NULL;
    return (struct share *)(void *)index->shares.data + count;
}

/* What the file has of each. */
static int count_shares(struct index *index, struct error *e)
{
    for (size_t i = 0; i < index_pack_count(index); i++) {
        struct share *share = find_share(index, index->packs[i].signer, e);
        if (!share)
            return -1;
        share->rows += index->is_own[i] ? 0 : index->packs[i].chunks + ROWS_A_PACK;
    }
    return 0;
}

int index_share_take(struct index *index, const struct pack_row *row, bool *fits, struct error *e)
{
    *fits = !index_row_is_bounded(index, row);
    if (*fits)
        return 0;
    if (index->shares.length == 0 && count_shares(index, e) < 0)
        return -1;
    struct share *share = find_share(index, row->signer, e);
    if (!share)
        return -1;
    uint64_t rows = share->rows + row->chunks + ROWS_A_PACK;
    *fits = rows <= ROWS_ALWAYS + index->listed / BYTES_A_ROW;
    share->rows = *fits ? rows : share->rows;
    return 0;
}

/* ---- whose word ---- */

void index_prefer(struct index *index, const uint8_t signer[32], const char *host)
{
    memcpy(index->preferred_signer, signer, sizeof index->preferred_signer);
    index->preferred_host = pack_name_number(host);
}

unsigned index_rank(const struct index *index, size_t pack_row)
{
    const struct pack_row *row = &index->packs[pack_row];
    if (index->is_own[pack_row])
        return 0;
    if (memcmp(row->object, nobody, sizeof nobody) == 0)
        return 2;
    if (memcmp(row->signer, index->preferred_signer, sizeof row->signer) == 0)
        return 1;
    return index->numbers[row->host] == index->preferred_host ? 2 : INDEX_FOREIGN;
}

bool index_vouches(const struct index *index, size_t pack_row)
{
    return index_rank(index, pack_row) < INDEX_FOREIGN;
}

const uint8_t *index_pack_object(const struct index *index, size_t pack_row)
{
    const uint8_t *object = index->packs[pack_row].object;
    return memcmp(object, nobody, sizeof nobody) == 0 ? NULL : object;
}

const uint8_t *index_pack_signer(const struct index *index, size_t pack_row)
{
    return index->packs[pack_row].signer;
}

bool index_pack_is_of(const struct index *index, size_t pack_row, const char *host)
{
    return index->numbers[index->packs[pack_row].host] == pack_name_number(host);
}

bool index_pack_is_own(const struct index *index, size_t pack_row)
{
    return index->is_own[pack_row];
}
