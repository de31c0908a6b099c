#include "config/secret.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "config/environment.h"
#include "config/secret_command.h"

#define COMMAND_TIMEOUT 30000
#define FORMS "@file:PATH, @env:NAME, @cmd:COMMAND or @cred:NAME"

/* ---- memory ---- */

/* In front of the bytes, in the same mapping. */
union header {
    size_t mapped;
    max_align_t align;
};

void *secret_alloc(size_t n)
{
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    if (n > SIZE_MAX - sizeof(union header) - page)
        return NULL;
    size_t size = (n + sizeof(union header) + page - 1) / page * page;
    union header *h = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (h == MAP_FAILED)
        return NULL;
    /* Where the limit of locked memory is used up, a secret that might reach the swap is better than no backup. */
    (void)mlock(h, size);
    (void)madvise(h, size, MADV_DONTDUMP);
    h->mapped = size;
    return h + 1;
}

void secret_free(void *p)
{
    if (!p)
        return;
    union header *h = (union header *)p - 1;
    size_t size = h->mapped;
    explicit_bzero(h, size);
    munmap(h, size);
}

/* ---- the forms ---- */

/* Where a form puts what it finds: SECRET_MAX bytes from secret_alloc. */
struct found {
    uint8_t *bytes;
    size_t length;
};

static void drop_newline(struct found *f)
{
    if (f->length > 0 && f->bytes[f->length - 1] == '\n')
        f->length--;
}

static int as_config(struct error *e)
{
    if (e->class != ERROR_MEMORY && e->class != ERROR_CANCELLED)
        e->class = ERROR_CONFIG;
    return -1;
}

/* The buffer has its final size, so the bytes are read into the locked memory and nowhere else. */
static struct bytes over(struct found *f)
{
    return (struct bytes){.data = f->bytes, .capacity = SECRET_MAX, .maximum = SECRET_MAX};
}

static int from_file(const char *path, struct found *f, struct error *e)
{
    struct bytes b = over(f);
    if (file_read_private(path, "secret file", SECRET_MAX, &b, e) < 0)
        return as_config(e);
    f->length = b.length;
    drop_newline(f);
    return 0;
}

static int from_environment(const char *name, struct found *f, struct error *e)
{
    const char *value;
    bool private_value;
    if (environment_find(name, &value, &private_value, e) < 0)
        return as_config(e);
    if (!private_value) {
        error_set(e, ERROR_CONFIG, "the variable '%s' stands in env_file, which others can read", name);
        return error_hint(e, "chmod 600 it, and think of a new secret");
    }
    size_t n = strlen(value);
    if (n > SECRET_MAX)
        return error_set(e, ERROR_CONFIG, "the environment variable '%s' is longer than %d bytes", name, SECRET_MAX);
    memcpy(f->bytes, value, n);
    f->length = n;
    return 0;
}

static int from_command(const char *command, struct found *f, struct error *e)
{
    if (secret_command_run(command, COMMAND_TIMEOUT, f->bytes, SECRET_MAX, &f->length, e) < 0)
        return -1;
    drop_newline(f);
    return 0;
}

/* systemd alone writes that directory, and sets its modes: with an access list the group bits say nothing. */
static int from_credentials(const char *name, struct found *f, struct error *e)
{
    const char *directory = getenv("CREDENTIALS_DIRECTORY");
    if (!directory || directory[0] != '/') {
        error_set(e, ERROR_CONFIG, "credential '%s': CREDENTIALS_DIRECTORY is not set", name);
        return error_hint(e, "start cofre by a systemd unit with LoadCredential=%s:PATH", name);
    }
    char path[4096];
    if (snprintf(path, sizeof path, "%s/%s", directory, name) >= (int)sizeof path)
        return error_set(e, ERROR_CONFIG, "credential '%s': the path is too long", name);
    struct bytes b = over(f);
    if (file_read(path, SECRET_MAX, &b, e) < 0)
        return as_config(e);
    f->length = b.length;
    drop_newline(f);
    return 0;
}

/* The rest is not repeated in messages: whoever takes '@' for nothing special wrote a secret there. */
static int check_path(const char *rest, struct error *e)
{
    return rest[0] == '/' ? 0 : error_set(e, ERROR_CONFIG, "what follows '@file:' is no absolute path");
}

static int check_variable(const char *rest, struct error *e)
{
    size_t n = strspn(rest, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789");
    bool good = n > 0 && n < 256 && rest[n] == '\0' && !(rest[0] >= '0' && rest[0] <= '9');
    return good ? 0 : error_set(e, ERROR_CONFIG, "what follows '@env:' is no name of a variable");
}

static int check_command(const char *rest, struct error *e)
{
    return rest[strspn(rest, " \t")] ? 0 : error_set(e, ERROR_CONFIG, "no command follows '@cmd:'");
}

static int check_credential(const char *rest, struct error *e)
{
    bool good = rest[0] != '\0' && rest[0] != '.' && !strchr(rest, '/') && strlen(rest) < 256;
    return good ? 0 : error_set(e, ERROR_CONFIG, "what follows '@cred:' is no name of a credential");
}

static const struct form {
    const char *prefix;
    int (*check)(const char *rest, struct error *e);
    int (*read)(const char *rest, struct found *f, struct error *e);
} forms[] = {
    {"@file:", check_path, from_file},
    {"@env:", check_variable, from_environment},
    {"@cmd:", check_command, from_command},
    {"@cred:", check_credential, from_credentials},
};

static const struct form *find_form(const char *text)
{
    for (size_t i = 0; i < sizeof forms / sizeof forms[0]; i++)
        if (strncmp(text, forms[i].prefix, strlen(forms[i].prefix)) == 0)
            return &forms[i];
    return NULL;
}

static int check_literal(const char *text, bool allowed, struct error *e)
{
    if (text[0] == '@' && text[1] != '@') {
        error_set(e, ERROR_CONFIG, "the secret begins with '@' but is none of " FORMS);
        return error_hint(e, "a secret that begins with '@' is written with '@@'");
    }
    if (!allowed) {
        error_set(e, ERROR_CONFIG, "the secret stands where others can read it");
        return error_hint(e, "write " FORMS);
    }
    if (text[0] == '\0')
        return error_set(e, ERROR_CONFIG, "the secret is empty");
    return strlen(text) > SECRET_MAX ? error_set(e, ERROR_CONFIG, "the secret is longer than %d bytes", SECRET_MAX) : 0;
}

static int read_secret(const struct form *form, const char *text, struct found *f, struct error *e)
{
    if (form)
        return form->read(text + strlen(form->prefix), f, e);
    text += text[0] == '@'; /* "@@" */
    f->length = strlen(text);
    memcpy(f->bytes, text, f->length);
    return 0;
}

int secret_check(const char *text, bool literal_allowed, struct error *e)
{
    const struct form *form = find_form(text);
    return form ? form->check(text + strlen(form->prefix), e) : check_literal(text, literal_allowed, e);
}

int secret_resolve(const char *text, bool literal_allowed, uint8_t **out, size_t *length, struct error *e)
{
    *out = NULL;
    *length = 0;
    if (secret_check(text, literal_allowed, e) < 0)
        return -1;
    struct found f = {.bytes = secret_alloc(SECRET_MAX)};
    if (!f.bytes)
        return error_memory(e);
    int result = read_secret(find_form(text), text, &f, e);
    if (result == 0 && f.length == 0)
        result = error_set(e, ERROR_CONFIG, "the secret is empty");
    uint8_t *exact = result == 0 ? secret_alloc(f.length + 1) : NULL;
    if (exact) {
        memcpy(exact, f.bytes, f.length);
        *out = exact;
        *length = f.length;
    } else if (result == 0) {
        result = error_memory(e);
    }
    secret_free(f.bytes);
    return result;
}

const char *secret_suspicion(const uint8_t *bytes, size_t length)
{
    if (length >= 3 && memcmp(bytes, "\xef\xbb\xbf", 3) == 0)
        return "begins with a byte order mark";
    if (length == 0)
        return NULL;
    switch (bytes[length - 1]) {
    case '\r':
        return "ends with a carriage return";
    case '\n':
        return "ends with a newline";
    case ' ':
    case '\t':
        return "ends with a blank";
    default:
        return NULL;
    }
}
