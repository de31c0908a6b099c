/* A vault: an opened sink with what it holds, in one of the formats.
 *
 * The verbs (list, show, ls, cat, restore, verify, copy) reach snapshots through these functions alone; each format has
 * a table of them, and only what makes a format is behind it: repository/repository_vault.c, archive/archive_vault.c.
 */
#ifndef COFRE_FORMAT_VAULT_H
#define COFRE_FORMAT_VAULT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "snapshot/manifest.h"

struct audience;
struct bytes;
struct config_instance;
struct engine;
struct record;
struct saver_calls;
struct sink;
struct vault_format;

struct vault {
    const struct vault_format *format;
    const struct engine *engine;
    const struct config_instance *config; /* of the sink */
    const char *id;                       /* of the repository or archive: 32 hexadecimal digits */
    struct sink *sink;                    /* owned by what is held */
    bool opens;                           /* what is at hand opens manifests; not so with a put key */
    void *own;                            /* of the format */
};

/* Whose snapshot it is, and which. */
struct vault_name {
    char host[64], job[64], id[MANIFEST_ID_SIZE];
};

/* One snapshot of a listing, one entry of a source: 0, or -1 with *e set, which ends it. */
typedef int vault_snapshot(void *context, const struct vault_name *name, struct error *e);
/* A manifest, which is the callee's now; or NULL, and *why says what is wrong with it: ERROR_NONE when it is whole and
 * signed, and the key that is at hand does not open it. */
typedef int vault_manifest(void *context, const struct vault_name *name, struct manifest *manifest,
                           const struct error *why, struct error *e);
typedef int vault_entry(void *context, const struct record *record, struct error *e);
/* One who signed snapshots of a host and job. */
struct vault_signer {
    char host[64], job[64];
    char signer[65];                                      /* hexadecimal */
    char first[MANIFEST_ID_SIZE], last[MANIFEST_ID_SIZE]; /* of those snapshots */
    uint64_t snapshots, doubtful;                         /* doubtful: those that do not count */
    bool own;                                             /* it is our own key */
};
typedef void vault_signed(void *context, const struct vault_signer *signer);
typedef void vault_warn(void *context, const char *text, const char *hint);

struct copy_result {
    bool existed;            /* it was there already, and whole */
    uint64_t objects, bytes; /* copied */
};

struct init_result {
    bool key_created;    /* else the existing key file was used */
    bool existed;        /* it was there already, made with this key: nothing was changed */
    bool recoverable;    /* the key is kept in the repository, wrapped by OpenPGP */
    char repository[33]; /* id of the repository or archive, hex */
    char key[33];        /* id, hex; "" with encryption = none, and of an archive */
};

/* ---- verify ---- */

/* One thing that is wrong. */
struct verify_damage {
    const char *object;        /* key of the object: "packs/HOST/ab/..."; NULL when the history is broken without one */
    const char *text;          /* what is wrong with it */
    const char *snapshot;      /* "HOST/JOB/ID" that it affects; NULL = none or unknown */
    const char *source, *path; /* of an affected entry; NULL = the whole */
};

struct verify_request {
    const char *job, *host; /* which snapshots; NULL = any */
    const char *id;         /* one snapshot; NULL = all of the above */
    bool everything;        /* also objects that no snapshot refers to */
    bool quick;             /* manifests, catalogues, presence and sizes; content is not read */
};

struct verify_result {
    uint64_t snapshots, snapshots_damaged, objects, bytes;
    uint64_t damages; /* all that were told of */
};

/* What a manifest says of its place in the history of its host and job. */
#define VERIFY_PREVIOUS_MAX 32
struct verify_link {
    char host[64], job[64], id[MANIFEST_ID_SIZE];
    char object[201]; /* key of the manifest */
    uint64_t sequence;
    uint8_t hash[MANIFEST_HASH_SIZE]; /* of its bytes */
    /* The manifest before has one of these; the first one has none before it. */
    uint8_t previous[VERIFY_PREVIOUS_MAX][MANIFEST_HASH_SIZE];
    size_t previous_count;
    bool readable; /* else of sequence and previous nothing is known */
    /* It is not there: object is a removal record that names it. */
    bool removed;
    bool own;    /* that record was signed as this machine would sign one, or is of those that nobody signs */
    bool joined; /* that record stands for several that were */
    int64_t started, recorded; /* ns; when the record was made */
    /* It stands for all from that one on, up to it, and previous is that one's. 0: for itself alone. */
    uint64_t first_sequence;
    char first_id[MANIFEST_ID_SIZE];
};

struct verify_audience {
    void (*damage)(void *context, const struct verify_damage *damage);
    /* Each manifest of those asked for, in any order; the hash is left to the callee. Not called for one snapshot
     * alone (request.id). */
    int (*link)(void *context, struct verify_link *link, const struct bytes *manifest, struct error *e);
    void *context;
};

/* ---- prune ---- */

/* What retention decides by. */
struct vault_standing {
    /* host is "" where only the manifest would tell it, and that cannot be read: it may be anybody's. */
    struct vault_name name;
    uint64_t sequence;
    int64_t started, ended; /* ns */
    bool complete;          /* of the sources that were asked for */
    bool partial;
    bool suspect; /* and nobody has accepted it */
    bool unknown; /* its status says something that this version does not know */
    bool pinned;
    int64_t pinned_until; /* ns; INT64_MAX = for ever */
    bool verified, proven;
    /* A removal record names it: an earlier prune was interrupted. Where nothing but a rest of it is left, all but the
     * name is zero. */
    bool removed;
    uint8_t hash[MANIFEST_HASH_SIZE];     /* of the manifest's bytes */
    uint8_t previous[MANIFEST_HASH_SIZE]; /* of the one before; zero in a first */
    const struct bytes *manifest;         /* its bytes, lent, where the hash is left to the callee; else NULL */
};
/* One snapshot: 0, or -1 with *e set, which ends it. why: ERROR_NONE, or why it cannot be read: then only the name is
 * known, and nothing can be decided. */
typedef int vault_stands(void *context, const struct vault_standing *standing, const struct error *why,
                         struct error *e);

/* One that is to be removed, and why. So many at once. */
#define VAULT_REMOVALS_MAX 5000u
struct vault_removal {
    const struct vault_standing *standing; /* with its hash */
    const char *const *reasons;
    size_t reason_count;
};
/* It is gone: why is ERROR_NONE; or it could not be removed, or not wholly. */
typedef void vault_gone(void *context, const struct vault_name *name, const struct error *why);
/* A row of a removal record, with its place in the history: one that it names, or a range of them; removed->object is
 * the record's key. */
typedef int vault_removed(void *context, const struct verify_link *removed, struct error *e);

/* ---- annotations ---- */

/* What is said of a snapshot afterwards: a pin keeps it from being removed; a proof says that all of it was read and
 * was whole (verified), or that it was restored (proven); an acceptance, that it is as it should be although it is
 * suspect. */
enum vault_annotation_kind { VAULT_PIN, VAULT_VERIFIED, VAULT_PROVEN, VAULT_ACCEPTED, VAULT_ANNOTATION_KINDS };
#define VAULT_PIN_FOREVER INT64_MAX
#define VAULT_NOTE_MAX 1000
struct vault_annotation {
    enum vault_annotation_kind kind;
    struct vault_name name; /* of the snapshot */
    /* What it says cannot be read, or does not count: nothing but kind and name is known. host is "" where the name of
     * the object does not tell it. */
    bool unreadable;
    int64_t at; /* ns: when it was said */
    /* of a pin */
    int64_t until;                 /* ns; VAULT_PIN_FOREVER */
    char note[VAULT_NOTE_MAX + 1]; /* free text */
    /* of a proof or acceptance */
    uint8_t hash[MANIFEST_HASH_SIZE]; /* of the manifest; of another one it says nothing. In an archive: zero, of any */
};
typedef int vault_annotated(void *context, const struct vault_annotation *annotation, struct error *e);

/* ---- gc ---- */

/* Of a manifest that is damaged, and so a doubt. */
#define VAULT_LOST_HINT                                                                                                \
    "see what is wrong with it: cofre verify --all; when it is lost there, remove that object by hand, and bring it "  \
    "back from another sink, if there is one: cofre copy"

/* ns; no run takes so long: what tells of a longer one tells that a clock was set in it. */
#define VAULT_RUN_MAX (INT64_C(365) * 86400 * 1000000000)

struct vault_gc {
    bool dry_run;
    bool now;        /* nobody else writes: there is no grace */
    uint64_t repack; /* bytes of packs of which little is needed that may be packed anew; 0 = none */
};
/* What was found of one host (of an archive: of all), and done; in a dry run, what would be. Bytes and objects: packs,
 * or in an archive all objects. */
struct vault_amount {
    uint64_t objects, bytes;
};
struct vault_garbage {
    const char *host; /* NULL: of all */
    struct vault_amount needed;
    struct vault_amount young;   /* not needed, and too new to be planned */
    struct vault_amount planned; /* not needed, and will be removed; with those of this gc */
    struct vault_amount fresh;   /* of these, planned by this gc */
    struct vault_amount removed;
    struct vault_amount moved;  /* little of it was needed: that was packed anew, */
    struct vault_amount made;   /* into these; in a dry run nobody knows */
    struct vault_amount locked; /* may not be removed yet */
    char lock[256];             /* what the store says of the first of those */
    int64_t since;              /* ns: when the oldest plan was made; INT64_MIN = there is none */
    int64_t due;                /* ns: when the next of them has stood for long enough; likewise */
};
typedef void vault_collected(void *context, const struct vault_garbage *garbage);
struct vault_gc_result {
    struct error doubt; /* why nothing was removed; ERROR_NONE = there was no doubt */
};

/* ---- the table ---- */

/* What a check says: a finding, or what is wrong; and a secret as it was resolved, and how the section has it. */
struct vault_reporter {
    void (*say)(void *context, int level, const char *text, const char *hint);
    void (*wrong)(void *context, const struct error *e);
    void (*secret)(void *context, const char *key, const char *text, const void *bytes, size_t length);
    void *context;
};
/* What for a vault is prepared: to store, what this host has stored is enough. */
enum vault_purpose { VAULT_READ, VAULT_SAVE };

/* A vault_warn whose context is a reporter. */
void vault_reporter_warn(void *reporter, const char *text, const char *hint);

struct vault_format {
    const char *name;                /* "repository", "archive" */
    const struct saver_calls *saver; /* how it is written */
    unsigned connections;            /* without which nothing works: least of struct sink_spec */
    /* Fill in everything but engine, config, sink and format. The sink is open, and taken; after an error nothing is
     * left open. */
    int (*open)(struct vault *vault, struct error *e);
    void (*close)(struct vault *vault);
    int (*list)(struct vault *vault, const char *host, const char *job, vault_snapshot *found, void *context,
                struct error *e);
    /* NULL = list does not read anything else. */
    int (*names)(struct vault *vault, const char *job, vault_snapshot *found, void *context, struct error *e);
    int (*read)(struct vault *vault, const struct vault_name *name, struct manifest **manifest, struct error *e);
    int (*read_all)(struct vault *vault, const struct vault_name *names, size_t count, vault_manifest *found,
                    void *context, struct error *e);
    int (*peek)(struct vault *vault, const struct vault_name *name, bool *ours, uint64_t *sequence,
                struct bytes *manifest, struct error *e);
    /* May a job store in both of them? NULL = yes. */
    int (*fits)(const struct vault *one, const struct vault *other, struct error *e);
    /* NULL = nothing to show. */
    int (*ready)(struct vault *vault, vault_warn *warn, void *context, struct error *e);
    int (*prepare)(struct vault *vault, enum vault_purpose purpose, struct error *e);
    int (*entries)(struct vault *vault, const struct manifest *manifest, const struct manifest_source *source,
                   const char *path, vault_entry *entry, void *context, struct error *e);
    int (*play)(struct vault *vault, const struct manifest *manifest, const struct manifest_source *source,
                const char *path, const struct audience *audience, uint64_t *entries, struct error *e);
    int (*verify)(struct vault *vault, const struct verify_request *request, const struct verify_audience *audience,
                  struct verify_result *result, struct error *e);
    /* All of it but the manifest, which is given as it is to be put, and its key, unless it existed. */
    int (*copy)(struct vault *from, struct vault *to, const struct manifest *manifest, struct copy_result *result,
                struct bytes *object, char key[201], struct error *e);
    /* Make it, in an opened sink. What is there and is not what would be made: ERROR_EXISTS. What an interrupted one
     * left is completed. */
    int (*init)(const struct engine *engine, struct sink *sink, const struct config_instance *section,
                struct init_result *result, struct error *e);
    /* Get the key back that is kept in the sink, into a new file; id: of the key, hex: another one is refused.
     * repository: the id of what it belongs to. NULL = none is ever kept. */
    int (*recover)(const struct engine *engine, const struct config_instance *section, const char *id, const char *path,
                   char repository[33], struct error *e);
    /* From now on those count who signed what is stored of the host: here, or with the full key everywhere. NULL =
     * nothing is signed by keys of cofre. */
    int (*accept)(struct vault *vault, const char *host, vault_signed *told, void *context, struct error *e);
    /* From now on the signer counts nowhere, but for what it stored before `since` (ns). NULL = as above. */
    int (*revoke)(struct vault *vault, const uint8_t signer[32], int64_t since, vault_signed *told, void *context,
                  struct error *e);
    /* See vault_standings, vault_remove, vault_removals, vault_may_remove, vault_records. */
    int (*standings)(struct vault *vault, const char *host, const char *job, vault_stands *stands, void *context,
                     struct error *e);
    int (*remove)(struct vault *vault, const struct vault_removal *removals, size_t count, vault_gone *gone,
                  void *context, struct error *e);
    int (*removals)(struct vault *vault, const char *host, const char *job, vault_removed *removed, void *context,
                    struct error *e);
    bool (*may_remove)(struct vault *vault, const char *host);
    int (*records)(struct vault *vault, const char *host, const char *job, struct bytes *keys, struct error *e);
    /* Of join.h: a record of these rows, at most VAULT_REMOVALS_MAX, durable, and looked at; and removing those of
     * these keys, each NUL terminated: all that can be. ERROR_LOCKED is none; after an error any may be gone. */
    int (*record)(struct vault *vault, const char *host, const char *job, const struct verify_link *rows, size_t count,
                  struct error *e);
    int (*forget)(struct vault *vault, const struct bytes *keys, struct error *e);
    /* See vault_annotate, vault_unpin, vault_pinned, vault_annotations. */
    int (*annotate)(struct vault *vault, const struct vault_annotation *annotation, struct error *e);
    int (*unpin)(struct vault *vault, const struct vault_name *name, bool *was, struct error *e);
    int (*pinned)(struct vault *vault, const struct vault_name *names, size_t count, bool *are, struct error *e);
    int (*annotations)(struct vault *vault, const char *host, const char *job, vault_annotated *annotated,
                       void *context, struct error *e);
    /* See vault_collect. */
    int (*gc)(struct vault *vault, const struct vault_gc *request, vault_collected *told, void *context,
              struct vault_gc_result *result, struct error *e);
    /* Is everything there that a run needs? It is open. The section's own secrets that were needed are told. */
    void (*check)(struct vault *vault, struct vault_reporter *to);
    /* What can be known of it without reaching anything; NULL = nothing. */
    void (*check_offline)(const struct config_instance *section, struct vault_reporter *to);
};

/* What the sink holds in that format. It is open, and is taken, also after an error. ERROR_NOT_INITIALISED when there
 * is nothing. */
int vault_open(const struct vault_format *format, const struct engine *engine, const struct config_instance *section,
               struct sink *sink, struct vault **vault, struct error *e);
/* NULL is fine. */
void vault_close(struct vault *vault);

/* Every snapshot of that host and job (NULL = any), in any order; found may not use the vault. One whose manifest
 * cannot be read is listed too. */
int vault_list(struct vault *vault, const char *host, const char *job, vault_snapshot *found, void *context,
               struct error *e);
/* The same from the names of objects alone. Where they do not tell the host, name->host is "", and snapshots of others
 * are among them. */
int vault_names(struct vault *vault, const char *host, const char *job, vault_snapshot *found, void *context,
                struct error *e);
/* Its manifest. sink_is_of_object says of an error whether it is this manifest's. */
int vault_read(struct vault *vault, const struct vault_name *name, struct manifest **manifest, struct error *e);
/* Those of several snapshots, in this order, side by side where the sink takes several requests at once. What is wrong
 * with one is told of it, and the next is read. found may not use the vault, and may be
 * called by another thread, one call at a time. */
int vault_read_all(struct vault *vault, const struct vault_name *names, size_t count, vault_manifest *found,
                   void *context, struct error *e);
/* Was it made by this host? Then *sequence is its place in the history, and *manifest gets its bytes as they are
 * stored. What is wrong with a manifest is logged, and it is not ours. */
int vault_peek(struct vault *vault, const struct vault_name *name, bool *ours, uint64_t *sequence,
               struct bytes *manifest, struct error *e);
/* May a job store in both of them? ERROR_CONFIG. Different formats go well together. */
int vault_fits(const struct vault *one, const struct vault *other, struct error *e);
/* Everything is there that sealing needs, and works. warn: of what will fail one day. */
int vault_ready(struct vault *vault, vault_warn *warn, void *context, struct error *e);
/* Once before content is read, or stored. */
int vault_prepare(struct vault *vault, enum vault_purpose purpose, struct error *e);

/* The entries of a source at and below path (NULL or "" = all), in order. */
int vault_entries(struct vault *vault, const struct manifest *manifest, const struct manifest_source *source,
                  const char *path, vault_entry *entry, void *context, struct error *e);
/* The same with their content, every byte checked before it is given. *entries: how many there were. */
int vault_play(struct vault *vault, const struct manifest *manifest, const struct manifest_source *source,
               const char *path, const struct audience *audience, uint64_t *entries, struct error *e);

/* How each snapshot of that host and job (NULL = any) stands, in any order, but one that went meanwhile. Complete, or
 * an error; stands may not use the vault. Wherever a format offers no removal: ERROR_UNSUPPORTED, of all of these. */
int vault_standings(struct vault *vault, const char *host, const char *job, vault_stands *stands, void *context,
                    struct error *e);
/* Remove snapshots, all of one host and job, at most VAULT_REMOVALS_MAX: first a removal record that names those that
 * no record names yet, and is durable; then each of them, the manifest before all else, and gone is told what came of
 * it. -1: the record could not be made, and nothing was removed. */
int vault_remove(struct vault *vault, const struct vault_removal *removals, size_t count, vault_gone *gone,
                 void *context, struct error *e);
/* Each row of the valid removal records of that host and job (NULL = any), in any order, maybe twice; those of one
 * record one after another. A record that is not valid is logged, and says nothing. */
int vault_removals(struct vault *vault, const char *host, const char *job, vault_removed *removed, void *context,
                   struct error *e);
/* The keys of all removal records that may be of that host and job, each NUL terminated, appended to *keys. */
int vault_records(struct vault *vault, const char *host, const char *job, struct bytes *keys, struct error *e);
/* Does what is at hand allow to remove snapshots of the host? */
bool vault_may_remove(struct vault *vault, const char *host);

/* Store it, durably, in the place of one of that kind and name. ERROR_AUTH: the key at hand may say nothing of that
 * host. Where a format offers none: ERROR_UNSUPPORTED, of vault_unpin also. */
int vault_annotate(struct vault *vault, const struct vault_annotation *annotation, struct error *e);
/* *was: there was a pin. */
int vault_unpin(struct vault *vault, const struct vault_name *name, bool *was, struct error *e);
/* are[i]: there is a pin of the snapshot names[i], whatever it says, as its own name tells and no listing. They are
 * asked for side by side where the sink takes several requests at once. */
int vault_pinned(struct vault *vault, const struct vault_name *names, size_t count, bool *are, struct error *e);
/* Each annotation of snapshots of that host and job (NULL = any), in any order, whether the snapshot is there or not.
 * One that is not valid is logged, and told of as unreadable. Where a format offers none there are none. */
int vault_annotations(struct vault *vault, const char *host, const char *job, vault_annotated *annotated, void *context,
                      struct error *e);

/* Remove what nothing needs any more, and was not needed for long; told of each host. Nothing is removed on a doubt:
 * then 0 all the same, and result->doubt says why. Interrupted anywhere, the next one goes on. */
int vault_collect(struct vault *vault, const struct vault_gc *request, vault_collected *told, void *context,
                  struct vault_gc_result *result, struct error *e);

/* Remove what interrupted puts left. On a disk that other machines share their running puts cannot be told from dead
 * ones but by age: a day. That it does not work is a warning, and no reason not to store. */
void vault_sweep(const struct vault *vault);

#endif
