/* Sinks: what a section says of format and keys, and whether it fits together. */
#include "config/config.h"

#include <stdlib.h>
#include <string.h>

#include "base/error.h"
#include "base/text.h"
#include "config/config_build.h"
#include "config/secret.h"
#include "config/section.h"

#define MINUTE 60000 /* ms */

static int fault(const struct section *s, const char *key, struct error *e)
{
    return section_error_at_key(section_find(s, key), e);
}

static int take_number(int64_t *out, const struct section *s, const char *name, struct error *e)
{
    struct option_value v;
    int result = section_value(s, config_sink_options, name, &v, e);
    if (result >= 0)
        *out = v.number;
    return result;
}

static int take_text(char **out, const struct section *s, const char *name, struct error *e)
{
    struct option_value v;
    int result = section_value(s, config_sink_options, name, &v, e);
    *out = v.text;
    return result;
}

static int take_list(struct config_openpgp *to, const struct section *s, const char *name, struct error *e)
{
    struct option_value v;
    int result = section_value(s, config_sink_options, name, &v, e);
    to->recipients = v.items;
    to->recipient_count = v.count;
    return result;
}

/* Secrets stay as they are written until they are needed. */
static int take_secret(struct config_secret *out, const struct section *s, const char *name, struct error *e)
{
    const struct config_key *key = section_find(s, name);
    if (!key)
        return 0;
    out->private_file = key->private_file;
    if (!(out->text = text_copy(key->value)))
        return error_memory(e);
    if (secret_check(key->value, key->private_file, e) == 0)
        return 1;
    if (!key->private_file && key->value[0] != '@')
        error_hint(e, "chmod 600 '%s', or write @file:PATH, @env:NAME, @cmd:COMMAND or @cred:NAME", key->file);
    error_context(e, "'%s': ", name);
    return section_error_at_key(key, e);
}

/* ---- which keys belong to which format ---- */

static const struct {
    const char *key;
    enum config_format format;
} belongs[] = {
    {"key", CONFIG_REPOSITORY},         {"trust_hosts", CONFIG_REPOSITORY},
    {"recovery_to", CONFIG_REPOSITORY}, {"compress", CONFIG_ARCHIVE},
    {"level", CONFIG_ARCHIVE},          {"threads", CONFIG_ARCHIVE},
    {"encrypt_to", CONFIG_ARCHIVE},     {"passphrase", CONFIG_ARCHIVE},
    {"sign_with", CONFIG_ARCHIVE},      {"recovery_passphrase", CONFIG_REPOSITORY},
    {"gc_repack", CONFIG_REPOSITORY},
};

static int check_format(const struct section *s, enum config_format format, struct error *e)
{
    static const char *const names[] = {[CONFIG_REPOSITORY] = "repository", [CONFIG_ARCHIVE] = "archive"};
    for (size_t i = 0; i < sizeof belongs / sizeof belongs[0]; i++) {
        if (belongs[i].format == format || !section_find(s, belongs[i].key))
            continue;
        error_set(e, ERROR_CONFIG, "'%s' is for format = %s, and [sink %s] has format = %s", belongs[i].key,
                  names[belongs[i].format], s->name, names[format]);
        if (strcmp(belongs[i].key, "key") == 0)
            error_hint(e, "an archive is encrypted with encrypt_to = FINGERPRINT, ... or passphrase = @file:PATH");
        return fault(s, belongs[i].key, e);
    }
    return 0;
}

/* ---- repositories ---- */

static int build_key(struct config_instance *sink, const struct section *s, bool plain, struct error *e)
{
    int has_key = take_text(&sink->key, s, "key", e);
    if (has_key < 0)
        return -1;
    if (has_key && plain) {
        error_set(e, ERROR_CONFIG, "[sink %s] has both 'key' and 'encryption = none'", s->name);
        error_hint(e, "take one of the two out");
        return fault(s, "encryption", e);
    }
    if (has_key || plain)
        return 0;
    error_set(e, ERROR_CONFIG, "[sink %s] has no 'key'", s->name);
    error_hint(e, "write key = /etc/cofre/keys/NAME.key ('cofre init %s' makes it), or encryption = none", s->name);
    section_suggest_misspelt(s, "key", e);
    return section_error_at(s, e);
}

/* ---- OpenPGP ---- */

static bool is_fingerprint(const char *text)
{
    size_t n = strlen(text);
    return (n == 40 || n == 64) && strspn(text, "0123456789abcdefABCDEF") == n;
}

static int check_fingerprint(const struct section *s, const char *key, const char *text, struct error *e)
{
    if (is_fingerprint(text))
        return 0;
    error_set(e, ERROR_CONFIG, "'%s': '%.80s' is no full fingerprint of an OpenPGP key", key, text);
    error_hint(e, "write all 40 hexadecimal digits, without blanks: gpg --with-colons --fingerprint shows them");
    return fault(s, key, e);
}

static int check_fingerprints(const struct config_openpgp *o, const struct section *s, const char *to, struct error *e)
{
    for (size_t i = 0; i < o->recipient_count; i++)
        if (check_fingerprint(s, to, o->recipients[i], e) < 0)
            return -1;
    return o->signer ? check_fingerprint(s, "sign_with", o->signer, e) : 0;
}

static int contradiction(const struct section *s, const char *one, const char *other, struct error *e)
{
    error_set(e, ERROR_CONFIG, "[sink %s] has both '%s' and '%s'", s->name, one, other);
    error_hint(e, "take one of the two out");
    return fault(s, other, e);
}

static int need_home(const struct section *s, const char *key, struct error *e)
{
    error_set(e, ERROR_CONFIG, "[sink %s] has '%s' and no 'gnupg_home'", s->name, key);
    error_hint(e, "name the keyring's directory, such as gnupg_home = /etc/cofre/gnupg (mode 0700)");
    return fault(s, key, e);
}

/* to, phrase: the keys that say how, in this format. */
static int build_openpgp(struct config_openpgp *o, const struct section *s, const char *to, const char *phrase,
                         struct error *e)
{
    o->passphrase_key = phrase;
    if (take_list(o, s, to, e) < 0 || take_secret(&o->passphrase, s, phrase, e) < 0 ||
        take_text(&o->signer, s, "sign_with", e) < 0 || take_text(&o->home, s, "gnupg_home", e) < 0 ||
        take_secret(&o->key_passphrase, s, "key_passphrase", e) < 0 || check_fingerprints(o, s, to, e) < 0)
        return -1;
    if (o->recipient_count > 0 && o->passphrase.text)
        return contradiction(s, to, phrase, e);
    if (o->recipient_count > 0 && !o->home)
        return need_home(s, to, e);
    return o->signer && !o->home ? need_home(s, "sign_with", e) : 0;
}

/* ---- archives ---- */

static int check_level(const struct config_instance *sink, const struct section *s, struct error *e)
{
    static const struct {
        const char *name;
        int64_t maximum;
    } kinds[] = {[CONFIG_ZSTD] = {"zstd", 19}, [CONFIG_GZIP] = {"gzip", 9}, [CONFIG_STORE] = {"none", 0}};
    if (sink->level <= kinds[sink->compress].maximum)
        return 0;
    error_set(e, ERROR_CONFIG, "'level': compress = %s has no level %lld", kinds[sink->compress].name,
              (long long)sink->level);
    if (kinds[sink->compress].maximum > 0)
        error_hint(e, "write 1 to %lld", (long long)kinds[sink->compress].maximum);
    return fault(s, "level", e);
}

static int check_archive(const struct config_openpgp *o, const struct section *s, bool plain, struct error *e)
{
    const char *sealed = o->recipient_count > 0 ? "encrypt_to" : o->passphrase.text ? "passphrase" : NULL;
    if (plain && sealed)
        return contradiction(s, sealed, "encryption", e);
    if (plain || sealed)
        return 0;
    error_set(e, ERROR_CONFIG, "[sink %s] does not say how its archive is encrypted", s->name);
    error_hint(e, "write encrypt_to = FINGERPRINT, ..., or passphrase = @file:PATH, or encryption = none");
    return section_error_at(s, e);
}

static int build_archive(struct config_instance *sink, const struct section *s, bool plain, struct error *e)
{
    int64_t compress = 0;
    if (take_number(&compress, s, "compress", e) < 0 || take_number(&sink->level, s, "level", e) < 0 ||
        take_number(&sink->threads, s, "threads", e) < 0)
        return -1;
    sink->compress = (enum config_compress)compress;
    if (check_level(sink, s, e) < 0 || build_openpgp(&sink->openpgp, s, "encrypt_to", "passphrase", e) < 0)
        return -1;
    return check_archive(&sink->openpgp, s, plain, e);
}

/* ---- all ---- */

/* "80%". */
static int build_space(struct config_instance *sink, const struct section *s, struct error *e)
{
    char *text, *end = NULL;
    if (take_text(&text, s, "warn_space", e) < 0)
        return -1;
    bool digit = text && text[0] >= '0' && text[0] <= '9';
    long percent = digit ? strtol(text, &end, 10) : 0;
    bool good = !text || (percent >= 1 && percent <= 99 && strcmp(end, "%") == 0);
    sink->warn_space = percent;
    if (!good)
        error_set(e, ERROR_CONFIG, "'warn_space': '%.40s' is none of 1%% to 99%%", text);
    free(text);
    if (good)
        return 0;
    error_hint(e, "write how full it may be, such as 80%%");
    return fault(s, "warn_space", e);
}

static int build_every(int64_t *every, const struct section *s, const char *key, struct error *e)
{
    if (take_number(every, s, key, e) < 0)
        return -1;
    if (*every == 0 || *every >= MINUTE)
        return 0;
    error_set(e, ERROR_CONFIG, "'%s': it is less than a minute", key);
    error_hint(e, "write a duration such as 1d, or 0 for never");
    return fault(s, key, e);
}

/* After its rules. */
static int build_prune(struct config_instance *sink, const struct section *s, struct error *e)
{
    if (build_every(&sink->prune_every, s, "prune_every", e) < 0)
        return -1;
    if (sink->prune_every == 0 || config_retention_rules(&sink->retention))
        return 0;
    error_set(e, ERROR_CONFIG,
              "'prune_every': no keep_ rule is in this section, so that nothing would ever be removed");
    error_hint(e, "write what stays of each job of other hosts, such as keep_daily = 30");
    return fault(s, "prune_every", e);
}

int config_sink_build(struct config_instance *sink, const struct section *s, struct error *e)
{
    int64_t format = CONFIG_REPOSITORY, trust = 0, encryption = 0;
    int written = take_number(&encryption, s, "encryption", e);
    if (written < 0 || take_number(&trust, s, "trust_hosts", e) < 0 || take_number(&format, s, "format", e) < 0 ||
        take_number(&sink->gc_repack, s, "gc_repack", e) < 0 || take_number(&sink->max_age, s, "max_age", e) < 0 ||
        take_number(&sink->warn_full, s, "warn_full", e) < 0 || take_number(&sink->quota, s, "quota", e) < 0 ||
        build_every(&sink->gc_every, s, "gc_every", e) < 0)
        return -1;
    sink->trust_hosts = trust != 0;
    sink->encryption = written ? CONFIG_PLAIN : CONFIG_ENCRYPTED;
    sink->format = (enum config_format)format;
    if (check_format(s, sink->format, e) < 0 || build_space(sink, s, e) < 0 ||
        config_retention_build(&sink->retention, &sink->retention, s, config_sink_options, e) < 0 ||
        build_prune(sink, s, e) < 0)
        return -1;
    if (sink->format == CONFIG_ARCHIVE)
        return build_archive(sink, s, written > 0, e);
    if (build_key(sink, s, written > 0, e) < 0)
        return -1;
    return build_openpgp(&sink->openpgp, s, "recovery_to", "recovery_passphrase", e);
}
