#include "redis/rdb.h"

#include <stdlib.h>
#include <string.h>

#include "cofre/plugin.h"
#include "redis/crc64.h"

#define HEADER 9 /* "REDIS0011" */
#define TAIL 9   /* end opcode and CRC */
#define OLDEST 5
#define DEPTH 6
#define LENGTH_MAX 9 /* bytes of an encoded length */

/* What follows a type byte or opcode, as a program:
 *   s  a string       l  a length, kept     d  a number as text (old sorted sets)
 *   1 4 8             so many bytes
 *   ( ... )           a length, then that many times what stands between
 *   o                 parts of a module's value, up to the one that ends it
 *   and what is done with what was read: D database, E the next key expires, F functions, M a module,
 *   $ the end */
static const char *const programs[256] = {
    /* values */
    [0] = "s",
    [1] = "(s)",
    [2] = "(s)",
    [3] = "(sd)",
    [4] = "(ss)",
    [5] = "(s8)",
    [7] = "Mlo",
    [9] = "s",
    [10] = "s",
    [11] = "s",
    [12] = "s",
    [13] = "s",
    [14] = "(s)",
    [15] = "(ss)lll(sll(888l)(s8(88)))",
    [16] = "s",
    [17] = "s",
    [18] = "(ls)",
    [19] = "(ss)llllllll(slll(888l)(s8(88)))",
    [20] = "s",
    [21] = "(ss)llllllll(slll(888l)(s88(88)))",
    [24] = "8(lss)",
    [25] = "8s",
    /* opcodes */
    [244] = "lll",
    [245] = "sF",
    [247] = "Mlo",
    [248] = "l",
    [249] = "1",
    [250] = "ss",
    [251] = "ll",
    [252] = "8E",
    [253] = "4E",
    [254] = "lD",
    [255] = "8$",
};
#define OPCODES 200 /* from here on */
/* A part of a module's value, by the length that begins it; 0 ends it. */
static const char *const parts[] = {NULL, "l)", "l)", "4)", "8)", "s)"};
#define PARTS (sizeof parts / sizeof parts[0])

struct frame {
    const char *body, *resume;
    uint64_t left;
};

enum text_state { TEXT_NONE, TEXT_COMPRESSED, TEXT_PLAIN };

struct rdb {
    struct crc64_table table;
    uint64_t crc, bytes;
    uint8_t header[HEADER], tail[TAIL];
    int version;
    bool lost, ended, overrun, expires, module;
    const char *at; /* NULL = an opcode is next */
    struct frame stack[DEPTH];
    unsigned depth;
    uint64_t skip; /* bytes to pass over */
    uint8_t piece[LENGTH_MAX];
    size_t have;          /* of piece */
    uint64_t value;       /* the last length */
    uint64_t stored;      /* the bytes of a compressed string */
    enum text_state text; /* of a compressed string: which of its two lengths is next */
    uint64_t libraries, module_values;
    struct rdb_count *databases;
    size_t database_count, current;
    uint64_t highest;
    bool key, packed; /* the next string is the name of a key; it is a compressed one */
    uint8_t name[1 + FAMILY_NAME];
    size_t name_wanted, name_have;
    struct family_set families;
};

struct rdb *rdb_new(void)
{
    struct rdb *rdb = calloc(1, sizeof *rdb);
    if (rdb)
        crc64_init(&rdb->table);
    return rdb;
}

void rdb_free(struct rdb *rdb)
{
    if (rdb)
        free(rdb->databases);
    free(rdb);
}

/* ---- counting ---- */

static void select_database(struct rdb *r, uint64_t number)
{
    size_t i = 0;
    r->highest = number > r->highest ? number : r->highest;
    while (i < r->database_count && r->databases[i].number != number)
        i++;
    if (i == r->database_count) {
        struct rdb_count *grown = i < RDB_DATABASES_MAX ? realloc(r->databases, (i + 1) * sizeof *grown) : NULL;
        if (!grown) {
            r->lost = true;
            return;
        }
        r->databases = grown;
        grown[r->database_count++] = (struct rdb_count){.number = number};
    }
    r->current = i;
}

static void count_key(struct rdb *r)
{
    if (r->database_count == 0)
        select_database(r, 0);
    if (r->lost)
        return;
    r->databases[r->current].keys++;
    r->databases[r->current].expires += r->expires;
    r->expires = false;
}

/* The name of a key follows, n bytes; its beginning is enough. */
static void begin_name(struct rdb *r, bool packed, uint64_t n)
{
    if (!r->key)
        return;
    r->key = false;
    r->packed = packed;
    r->name_have = 0;
    r->name_wanted = n < sizeof r->name ? (size_t)n : sizeof r->name;
}

/* What is compressed (LZF) begins with bytes as they are, and one that says how many. */
static void take_name(struct rdb *r, const uint8_t *p, size_t n)
{
    size_t take = r->name_wanted - r->name_have < n ? r->name_wanted - r->name_have : n;
    memcpy(r->name + r->name_have, p, take);
    r->name_have += take;
    if (r->name_wanted == 0 || r->name_have < r->name_wanted)
        return;
    size_t skip = r->packed ? 1 : 0, length = r->name_wanted - skip;
    if (r->packed && r->name[0] + 1u < length)
        length = r->name[0] + 1u;
    family_add(&r->families, r->name + skip, length);
    r->name_wanted = r->name_have = 0;
}

/* ---- the programs ---- */

static void push(struct rdb *r, const char *body, uint64_t left, const char *resume)
{
    r->stack[r->depth++] = (struct frame){.body = body, .resume = resume, .left = left};
    r->at = body;
}

/* From behind a '(' to behind its ')'. */
static const char *behind(const char *p)
{
    for (unsigned open = 1; open > 0; p++)
        open = open + (*p == '(') - (*p == ')');
    return p;
}

static uint64_t big_endian(const uint8_t *p, size_t n)
{
    uint64_t v = 0;
    for (size_t i = 0; i < n; i++)
        v = v << 8 | p[i];
    return v;
}

/* Bytes of the length that begins with this one; 0 = there is no such length. */
static size_t length_size(uint8_t first)
{
    static const uint8_t sizes[] = {1, 2, 0, 1};
    if (first >> 6 != 2)
        return sizes[first >> 6];
    return first == 0x80 ? 5 : first == 0x81 ? 9 : 0;
}

/* Collect a length from *p. True when it is there: *value, or *special for one of the encodings of a string. */
static bool take_length(struct rdb *r, const uint8_t **p, size_t *n, bool *special)
{
    if (r->have == 0 && *n > 0) {
        r->piece[r->have++] = *(*p)++;
        --*n;
    }
    size_t size = r->have ? length_size(r->piece[0]) : 1;
    if (size == 0) {
        r->lost = true;
        return false;
    }
    while (r->have<size && * n> 0) {
        r->piece[r->have++] = *(*p)++;
        --*n;
    }
    if (r->have < size)
        return false;
    r->have = 0;
    *special = r->piece[0] >> 6 == 3;
    r->value = size == 1   ? r->piece[0] & 0x3f
               : size == 2 ? (r->piece[0] & 0x3fu) << 8 | r->piece[1]
                           : big_endian(r->piece + 1, size - 1);
    return true;
}

static void op_string(struct rdb *r, const uint8_t **p, size_t *n)
{
    bool special;
    if (!take_length(r, p, n, &special))
        return;
    if (r->text == TEXT_COMPRESSED) {
        r->stored = r->value;
        r->text = TEXT_PLAIN;
    } else if (r->text == TEXT_PLAIN) {
        r->skip = r->stored;
        r->text = TEXT_NONE;
        r->at++;
        begin_name(r, true, r->skip);
    } else if (special && r->value == 3) {
        r->text = TEXT_COMPRESSED;
    } else if (special && r->value > 3) {
        r->lost = true;
    } else {
        r->skip = special ? UINT64_C(1) << r->value : r->value;
        r->at++;
        begin_name(r, false, special ? 0 : r->skip);
    }
}

static void op_length(struct rdb *r, const uint8_t **p, size_t *n)
{
    bool special;
    if (take_length(r, p, n, &special))
        r->at++;
}

static void op_repeat(struct rdb *r, const uint8_t **p, size_t *n)
{
    bool special;
    if (!take_length(r, p, n, &special))
        return;
    const char *body = r->at + 1;
    if (r->value == 0)
        r->at = behind(body);
    else
        push(r, body, r->value, behind(body));
}

static void op_again(struct rdb *r, const uint8_t **p, size_t *n)
{
    (void)p;
    (void)n;
    struct frame *frame = &r->stack[r->depth - 1];
    if (--frame->left > 0) {
        r->at = frame->body;
        return;
    }
    r->at = frame->resume;
    r->depth--;
}

static void op_number(struct rdb *r, const uint8_t **p, size_t *n)
{
    uint8_t length = *(*p)++;
    --*n;
    r->skip = length >= 253 ? 0 : length;
    r->at++;
}

static void op_bytes(struct rdb *r, const uint8_t **p, size_t *n)
{
    (void)p;
    (void)n;
    r->skip = (uint64_t)(*r->at++ - '0');
}

static void op_module(struct rdb *r, const uint8_t **p, size_t *n)
{
    bool special;
    if (!take_length(r, p, n, &special))
        return;
    if (r->value >= PARTS) {
        r->lost = true;
    } else if (r->value == 0) {
        r->at++;
    } else {
        push(r, parts[r->value], 1, r->at);
    }
}

static void op_database(struct rdb *r, const uint8_t **p, size_t *n)
{
    (void)p;
    (void)n;
    select_database(r, r->value);
    r->at++;
}

static void op_expires(struct rdb *r, const uint8_t **p, size_t *n)
{
    (void)p;
    (void)n;
    r->expires = true;
    r->at++;
}

static void op_functions(struct rdb *r, const uint8_t **p, size_t *n)
{
    (void)p;
    (void)n;
    r->libraries++;
    r->at++;
}

static void op_of_module(struct rdb *r, const uint8_t **p, size_t *n)
{
    (void)p;
    (void)n;
    r->module_values++;
    r->at++;
}

static void op_end(struct rdb *r, const uint8_t **p, size_t *n)
{
    (void)p;
    (void)n;
    r->ended = true;
    r->at++;
}

typedef void operation(struct rdb *r, const uint8_t **p, size_t *n);
static operation *const operations[128] = {
    ['s'] = op_string,  ['l'] = op_length,    ['('] = op_repeat,    [')'] = op_again,  ['d'] = op_number,
    ['1'] = op_bytes,   ['4'] = op_bytes,     ['8'] = op_bytes,     ['o'] = op_module, ['D'] = op_database,
    ['E'] = op_expires, ['F'] = op_functions, ['M'] = op_of_module, ['$'] = op_end,
};

/* The next type byte or opcode. A type is followed by a key, then by its value. */
static void dispatch(struct rdb *r, uint8_t code)
{
    const char *program = programs[code];
    if (!program) {
        r->lost = true;
        return;
    }
    if (code >= OPCODES) {
        r->at = program;
        return;
    }
    count_key(r);
    r->key = true;
    push(r, "s)", 1, program);
}

/* Operations that take no byte run also when none is left, so that the state at the end tells the truth. */
static bool is_silent(char op)
{
    return strchr(")DEFM$148", op) != NULL && op != '\0';
}

static void scan(struct rdb *r, const uint8_t *p, size_t n)
{
    while (!r->lost && !r->ended) {
        uint64_t pass = r->skip < n ? r->skip : n;
        r->skip -= pass;
        take_name(r, p, (size_t)pass);
        p += pass;
        n -= (size_t)pass;
        if (r->skip > 0)
            return;
        if (r->at && *r->at == '\0')
            r->at = NULL;
        if (n == 0 && !(r->at && is_silent(*r->at)))
            return;
        if (r->at) {
            operations[(unsigned char)*r->at](r, &p, &n);
        } else {
            n--;
            dispatch(r, *p++);
        }
    }
    r->overrun = r->ended && n > 0;
}

/* ---- feeding ---- */

static int32_t check_header(struct rdb *r, struct cofre_error *error)
{
    if (memcmp(r->header, "REDIS", 5) != 0)
        return cofre_fail(error, COFRE_E_INTEGRITY, "this is no RDB: it does not begin with 'REDIS'");
    for (int i = 5; i < HEADER; i++) {
        if (r->header[i] < '0' || r->header[i] > '9')
            return cofre_fail(error, COFRE_E_INTEGRITY, "this is no RDB: it has no version");
        r->version = r->version * 10 + r->header[i] - '0';
    }
    if (r->version < OLDEST)
        return cofre_fail(error, COFRE_E_UNSUPPORTED, "RDB version %d has no checksum and is not supported",
                          r->version);
    return COFRE_OK;
}

static void keep_tail(struct rdb *r, const uint8_t *p, size_t n)
{
    size_t take = n < TAIL ? n : TAIL;
    memmove(r->tail, r->tail + take, TAIL - take);
    memcpy(r->tail + TAIL - take, p + n - take, take);
}

int32_t rdb_feed(struct rdb *rdb, const void *p, size_t n, struct cofre_error *error)
{
    const uint8_t *from = p;
    size_t head = 0;
    if (n == 0)
        return COFRE_OK;
    rdb->crc = crc64_add(&rdb->table, rdb->crc, from, n);
    keep_tail(rdb, from, n);
    if (rdb->bytes < HEADER) {
        head = HEADER - rdb->bytes < n ? (size_t)(HEADER - rdb->bytes) : n;
        memcpy(rdb->header + rdb->bytes, from, head);
    }
    bool complete = rdb->bytes < HEADER && rdb->bytes + head == HEADER;
    rdb->bytes += n;
    if (complete) {
        int32_t class = check_header(rdb, error);
        if (class != COFRE_OK)
            return class;
    }
    if (rdb->bytes < HEADER)
        return COFRE_OK;
    if (rdb->ended || (scan(rdb, from + head, n - head), rdb->overrun))
        return n == head ? COFRE_OK : cofre_fail(error, COFRE_E_INTEGRITY, "the RDB goes on after its end");
    return COFRE_OK;
}

void rdb_so_far(const struct rdb *rdb, struct rdb_summary *summary)
{
    static const uint8_t none[TAIL - 1];
    *summary = (struct rdb_summary){.bytes = rdb->bytes,
                                    .version = rdb->version,
                                    .counted = !rdb->lost && rdb->ended,
                                    .checksum = memcmp(rdb->tail + 1, none, sizeof none) != 0,
                                    .libraries = rdb->libraries,
                                    .module_values = rdb->module_values,
                                    .databases = rdb->databases,
                                    .database_count = rdb->database_count,
                                    .highest = rdb->highest,
                                    .families = &rdb->families};
}

int32_t rdb_end(struct rdb *rdb, struct rdb_summary *summary, struct cofre_error *error)
{
    rdb_so_far(rdb, summary);
    if (rdb->bytes < HEADER + TAIL || rdb->tail[0] != 255 || (!rdb->lost && !rdb->ended))
        return cofre_fail(error, COFRE_E_INTEGRITY, "the RDB ends early, after %llu bytes",
                          (unsigned long long)rdb->bytes);
    if (rdb->crc != 0 && summary->checksum)
        return cofre_fail(error, COFRE_E_INTEGRITY, "the RDB is damaged: its checksum is not right");
    if (!summary->checksum && !summary->counted)
        return cofre_fail(error, COFRE_E_INTEGRITY,
                          "the RDB has no checksum, and not all of it is understood: it cannot be checked");
    return COFRE_OK;
}
