#include "repository/placed.h"

#include <string.h>

#include "base/bytes.h"
#include "base/error.h"
#include "repository/repository.h"
#include "repository/signers.h"

_Static_assert(PLACED_CLEAR_SIZE == SEAL_HASH_SIZE + REPOSITORY_ID_SIZE, "where it belongs");

static void place_of(const struct repository *repository, const char *key, uint8_t place[PLACED_CLEAR_SIZE])
{
    seal_hash(key, strlen(key), place);
    memcpy(place + SEAL_HASH_SIZE, repository->id, REPOSITORY_ID_SIZE);
}

int placed_seal(const struct repository *repository, enum seal_kind kind, const char *key, const void *own,
                size_t own_length, const struct bytes *body, struct bytes *out, struct error *e)
{
    uint8_t clear[SEAL_CLEAR_MAX];
    ASSERT(PLACED_CLEAR_SIZE + own_length <= sizeof clear);
    place_of(repository, key, clear);
    if (own_length > 0)
        memcpy(clear + PLACED_CLEAR_SIZE, own, own_length);
    return seal_envelope(repository->key, kind, clear, PLACED_CLEAR_SIZE + own_length, body->data, body->length, out,
                         e);
}

static int check_place(const struct repository *repository, const char *key, size_t own_length,
                       struct seal_opened *opened, struct error *e)
{
    uint8_t place[PLACED_CLEAR_SIZE];
    place_of(repository, key, place);
    if (opened->clear_length != PLACED_CLEAR_SIZE + own_length)
        return error_set(e, ERROR_INTEGRITY, "read '%s': its clear part is malformed", key);
    if (memcmp(opened->clear, place, SEAL_HASH_SIZE) != 0)
        return error_set(e, ERROR_INTEGRITY, "read '%s': it was made for another place than this", key);
    if (memcmp(opened->clear, place, sizeof place) != 0)
        return error_set(e, ERROR_INTEGRITY, "read '%s': it was made for another repository", key);
    opened->clear += PLACED_CLEAR_SIZE;
    opened->clear_length = own_length;
    return 0;
}

/* What a snapshot needs counts as its manifest does, which it names. */
static int check_revoked(const struct repository *repository, enum seal_kind kind, const char *key,
                         const struct bytes *object, const struct seal_opened *opened, struct error *e)
{
    struct signers_claim claim = {.object = key};
    memcpy(claim.signer, opened->signer, sizeof claim.signer);
    if (kind == SEAL_NEEDS && opened->clear_length == sizeof claim.hash)
        memcpy(claim.hash, opened->clear, sizeof claim.hash);
    else
        seal_hash(object->data, object->length, claim.hash);
    return signers_check_revoked(repository->signers, &claim, e);
}

int placed_open(const struct repository *repository, enum seal_kind kind, const char *host, const char *key,
                const struct bytes *object, size_t own_length, struct seal_opened *opened, struct bytes *body,
                struct error *e)
{
    if (seal_envelope_verify(repository->key, kind, object->data, object->length, key, opened, e) < 0 ||
        seal_check_host(opened, host, key, e) < 0 || check_place(repository, key, own_length, opened, e) < 0 ||
        check_revoked(repository, kind, key, object, opened, e) < 0)
        return -1;
    return seal_envelope_body(repository->key, kind, object->data, object->length, key, body, e);
}
