/* Is the BLAKE3 that was built the one of its authors? By their test vectors (test_vectors.json of their repository):
 * input that repeats the bytes 0 to 250, of lengths around those of its blocks, chunks and parallel lanes; plain and
 * keyed, as core/repository/seal.c uses it. A program of the build and a test; no part of cofre. */
#include <blake3.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define KEY "whats the Elvish word for friend"
#define LONGEST 102400

static const struct {
    size_t length;
    const char *hash, *keyed; /* NULL = not looked at */
} vectors[] = {
    {0, "af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262",
     "92b2b75604ed3c761f9d6f62392c8a9227ad0ea3f09573e783f1498a4ed60d26"},
    {1, "2d3adedff11b61f14c886e35afa036736dcd87a74d27b5c1510225d0f592e213", NULL},
    {1023, "10108970eeda3eb932baac1428c7a2163b0e924c9a9e25b35bba72b28f70bd11", NULL},
    {1024, "42214739f095a406f3fc83deb889744ac00df831c10daa55189b5d121c855af7", NULL},
    {1025, "d00278ae47eb27b34faecf67b4fe263f82d5412916c1ffd97c8cb7fb814b8444", NULL},
    {2048, "e776b6028c7cd22a4d0ba182a8bf62205d2ef576467e838ed6f2529b85fba24a", NULL},
    {2049, "5f4d72f40d7a5f82b15ca2b2e44b1de3c2ef86c426c95c1af0b6879522563030", NULL},
    {3072, "b98cb0ff3623be03326b373de6b9095218513e64f1ee2edd2525c7ad1e5cffd2", NULL},
    {4096, "015094013f57a5277b59d8475c0501042c0b642e531b0a1c8f58d2163229e969", NULL},
    {31744, "62b6960e1a44bcc1eb1a611a8d6235b6b4b78f32e7abc4fb4c6cdcce94895c47", NULL},
    {102400, "bc3e3d41a1146b069abffad3c0d44860cf664390afce4d9661f7902e7943e085", NULL},
};

static int is_wrong(blake3_hasher *hasher, const uint8_t *input, size_t length, const char *expected)
{
    uint8_t hash[BLAKE3_OUT_LEN];
    char text[2 * BLAKE3_OUT_LEN + 1];
    blake3_hasher_update(hasher, input, length);
    blake3_hasher_finalize(hasher, hash, sizeof hash);
    for (size_t i = 0; i < sizeof hash; i++)
        snprintf(text + 2 * i, 3, "%02x", hash[i]);
    if (strcmp(text, expected) == 0)
        return 0;
    fprintf(stderr, "BLAKE3 of %zu bytes is %s, not %s: this library must not be used\n", length, text, expected);
    return 1;
}

int main(void)
{
    static uint8_t input[LONGEST];
    int wrong = 0;
    for (size_t i = 0; i < sizeof input; i++)
        input[i] = (uint8_t)(i % 251);
    for (size_t i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
        blake3_hasher hasher;
        blake3_hasher_init(&hasher);
        wrong += is_wrong(&hasher, input, vectors[i].length, vectors[i].hash);
        blake3_hasher_init_keyed(&hasher, (const uint8_t *)KEY);
        wrong += vectors[i].keyed ? is_wrong(&hasher, input, vectors[i].length, vectors[i].keyed) : 0;
    }
    return wrong > 0;
}
