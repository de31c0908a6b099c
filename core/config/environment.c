#include "config/environment.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/bytes.h"
#include "base/error.h"
#include "base/file.h"
#include "config/secret.h"

#define BLANKS " \t\r"

struct variable {
    const char *name, *value;
    bool expands; /* compose would expand something in it */
};

/* The file: its text, cut into names and values in place. */
static struct {
    char *text; /* from secret_alloc */
    struct variable *variables;
    size_t count;
    bool private_file;
} file;

void environment_forget(void)
{
    secret_free(file.text);
    free(file.variables);
    memset(&file, 0, sizeof file);
}

/* ---- one line ---- */

/* *end: behind the closing quote. NULL: there is none. */
static char *take_single(char *from, char **end)
{
    char *quote = strchr(from + 1, '\'');
    if (!quote)
        return NULL;
    *quote = '\0';
    *end = quote + 1;
    return from + 1;
}

static char *take_double(char *from, char **end, bool *expands)
{
    char *to = from, *at = from + 1;
    while (*at && *at != '"') {
        *expands = *expands || *at == '$';
        if (*at == '\\' && at[1] && strchr("\\\"$n", at[1])) {
            at++;
            *to++ = *at == 'n' ? '\n' : *at;
            at++;
        } else {
            *to++ = *at++;
        }
    }
    if (*at != '"')
        return NULL;
    *end = at + 1;
    *to = '\0';
    return from;
}

static char *take_bare(char *from, char **end, bool *expands)
{
    char *at = from;
    while (*at && !(*at == '#' && (at == from || strchr(BLANKS, at[-1])))) {
        *expands = *expands || *at == '$';
        at++;
    }
    *end = at + strlen(at);
    while (at > from && strchr(BLANKS, at[-1]))
        at--;
    *at = '\0';
    return from;
}

static char *take_value(char *from, bool *expands)
{
    char *end = NULL, *value;
    *expands = false;
    if (*from == '\'')
        value = take_single(from, &end);
    else if (*from == '"')
        value = take_double(from, &end, expands);
    else
        return take_bare(from, &end, expands);
    if (!value)
        return NULL;
    end += strspn(end, BLANKS);
    return *end == '\0' || *end == '#' ? value : NULL;
}

/* What stands in the line is not repeated: it may be a secret. */
static int take_line(char *line, const char *path, unsigned number, struct error *e)
{
    static const char letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
    line += strspn(line, BLANKS);
    if (strncmp(line, "export ", 7) == 0)
        line += 7 + strspn(line + 7, BLANKS);
    if (*line == '\0' || *line == '#')
        return 0;
    size_t n = strspn(line, letters);
    char *equals = line + n + strspn(line + n, BLANKS);
    if (n == 0 || (line[0] >= '0' && line[0] <= '9') || *equals != '=') {
        error_set(e, ERROR_CONFIG, "%s:%u: the line is no KEY=VALUE", path, number);
        return error_hint(e, "what is not for cofre may stand behind a '#', or in another file");
    }
    line[n] = '\0';
    struct variable *v = &file.variables[file.count];
    v->name = line;
    v->value = take_value(equals + 1 + strspn(equals + 1, BLANKS), &v->expands);
    if (!v->value)
        return error_set(e, ERROR_CONFIG, "%s:%u: '%.100s': the quote is not closed at the end of the line", path,
                         number, line);
    file.count++;
    return 0;
}

/* ---- the file ---- */

static int read_text(const char *path, struct error *e)
{
    file.text = secret_alloc(ENVIRONMENT_FILE_MAX + 1);
    if (!file.text)
        return error_memory(e);
    struct bytes b = {.data = (uint8_t *)file.text, .capacity = ENVIRONMENT_FILE_MAX, .maximum = ENVIRONMENT_FILE_MAX};
    if (file_read(path, ENVIRONMENT_FILE_MAX, &b, e) < 0)
        return -1;
    if (memchr(file.text, '\0', b.length))
        return error_set(e, ERROR_CONFIG, "'%s' is no text: there is a NUL in it", path);
    return 0;
}

static int parse(const char *path, struct error *e)
{
    char *text = file.text + (strncmp(file.text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0);
    size_t lines = 1;
    for (const char *p = text; (p = strchr(p, '\n')) != NULL; p++)
        lines++;
    file.variables = calloc(lines, sizeof *file.variables);
    if (!file.variables)
        return error_memory(e);
    for (unsigned number = 1; text; number++) {
        char *end = strchr(text, '\n');
        if (end)
            *end = '\0';
        if (take_line(text, path, number, e) < 0)
            return -1;
        text = end ? end + 1 : NULL;
    }
    return 0;
}

static int load(const char *path, struct error *e)
{
    struct stat st;
    if (file_check_trusted(path, e) < 0)
        return -1;
    if (stat(path, &st) < 0)
        return error_system(e, errno, "stat '%s'", path);
    file.private_file = (st.st_mode & 077) == 0;
    return read_text(path, e) < 0 ? -1 : parse(path, e);
}

int environment_load(const char *path, struct error *e)
{
    environment_forget();
    if (load(path, e) == 0)
        return 0;
    environment_forget();
    if (e->class != ERROR_MEMORY)
        e->class = ERROR_CONFIG;
    return -1;
}

int environment_find(const char *name, const char **value, bool *private_value, struct error *e)
{
    *value = getenv(name);
    *private_value = true;
    for (size_t i = file.count; i-- > 0 && !*value;) {
        if (strcmp(file.variables[i].name, name) != 0)
            continue;
        *value = file.variables[i].value;
        *private_value = file.private_file;
        if (file.variables[i].expands) {
            error_set(e, ERROR_CONFIG, "the variable '%s' of env_file has a '$', which cofre does not expand", name);
            return error_hint(e, "write the value that is meant, in 'single quotes'");
        }
    }
    if (*value && **value)
        return 0;
    return error_set(e, ERROR_NOT_FOUND, "the environment variable '%s' is %s", name, *value ? "empty" : "not set");
}
