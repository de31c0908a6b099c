/* ~/.aws/credentials: sections of "name = value". */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cofre/plugin.h"
#include "s3/credentials.h"

static bool file_name(char *out, size_t size)
{
    const char *named = getenv("AWS_SHARED_CREDENTIALS_FILE");
    if (named && *named)
        return (size_t)snprintf(out, size, "%s", named) < size;
    const struct passwd *user = getpwuid(geteuid());
    return user && user->pw_dir && (size_t)snprintf(out, size, "%s/.aws/credentials", user->pw_dir) < size;
}

/* "[name]", or "[profile name]" as the other file of the AWS tools has it. */
static bool is_section(const char *line, const char *profile)
{
    const char *name = line + 1 + strspn(line + 1, " \t");
    if (strncmp(name, "profile ", 8) == 0)
        name += 8;
    size_t n = strcspn(name, "]");
    while (n > 0 && (name[n - 1] == ' ' || name[n - 1] == '\t'))
        n--;
    return strlen(profile) == n && strncmp(name, profile, n) == 0;
}

static void take_line(char *line, struct credentials *found)
{
    const struct {
        const char *name;
        char *to;
        size_t size;
    } names[] = {
        {"aws_access_key_id", found->access_key, sizeof found->access_key},
        {"aws_secret_access_key", found->secret_key, sizeof found->secret_key},
        {"aws_session_token", found->token, sizeof found->token},
    };
    char *value = strchr(line, '=');
    if (!value)
        return;
    size_t n = (size_t)(value++ - line);
    while (n > 0 && (line[n - 1] == ' ' || line[n - 1] == '\t'))
        n--;
    value += strspn(value, " \t");
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++)
        if (strlen(names[i].name) == n && strncmp(line, names[i].name, n) == 0)
            credentials_copy(names[i].to, names[i].size, value, strlen(value));
}

static bool read_profile(FILE *file, const char *profile, struct credentials *found)
{
    char line[CREDENTIALS_TOKEN_MAX + 64];
    bool inside = false, seen = false;
    while (fgets(line, sizeof line, file)) {
        char *text = line + strspn(line, " \t");
        if (*text == '[')
            seen = (inside = is_section(text, profile)) || seen;
        else if (inside)
            take_line(text, found);
    }
    explicit_bzero(line, sizeof line);
    return seen;
}

int32_t credentials_from_file(const char *wanted, struct credentials *found, struct cofre_error *error)
{
    char path[4096];
    const char *profile = wanted ? wanted : getenv("AWS_PROFILE");
    bool asked = profile && *profile;
    if (!asked)
        profile = "default";
    if (!file_name(path, sizeof path))
        return COFRE_END;
    FILE *file = fopen(path, "re");
    if (!file && errno == ENOENT && !asked)
        return COFRE_END;
    if (!file && errno == EACCES && !asked)
        return COFRE_END;
    if (!file)
        return cofre_fail_errno(error, errno, "read the credentials of profile '%s' from '%.300s'", profile, path);
    struct stat st;
    bool open_to_others = fstat(fileno(file), &st) == 0 && (st.st_mode & 077);
    bool seen = read_profile(file, profile, found);
    fclose(file);
    if (!seen && asked)
        return cofre_fail(error, COFRE_E_CONFIG, "file '%.300s' has no profile '%s'", path, profile);
    if (!found->access_key[0] || !found->secret_key[0]) {
        if (!asked)
            return COFRE_END;
        return cofre_fail(error, COFRE_E_CONFIG,
                          "profile '%s' of '%.300s' has no aws_access_key_id and "
                          "aws_secret_access_key",
                          profile, path);
    }
    if (open_to_others) {
        cofre_fail(error, COFRE_E_CONFIG, "others can read the credentials in '%.300s'", path);
        cofre_hint(error, "chmod 0600 '%.200s'", path);
        return COFRE_E_CONFIG;
    }
    found->origin = "~/.aws/credentials";
    return COFRE_OK;
}
