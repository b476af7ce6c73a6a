/* From the keys of a SEARCH command to a program. */
#include <assert.h>

#include "base/err.h"
#include "view/search_int.h"

/* Flag keys: what they test, and whether they are true without it. */
static const struct {
	uint8_t flags;
	bool negated;
} flag_keys[] = {
	[SEARCH_ANSWERED] = { STORE_ANSWERED, false }, [SEARCH_DELETED] = { STORE_DELETED, false },
	[SEARCH_DRAFT] = { STORE_DRAFT, false },       [SEARCH_FLAGGED] = { STORE_FLAGGED, false },
	[SEARCH_SEEN] = { STORE_SEEN, false },         [SEARCH_UNANSWERED] = { STORE_ANSWERED, true },
	[SEARCH_UNDELETED] = { STORE_DELETED, true },  [SEARCH_UNDRAFT] = { STORE_DRAFT, true },
	[SEARCH_UNFLAGGED] = { STORE_FLAGGED, true },  [SEARCH_UNSEEN] = { STORE_SEEN, true },
};

static const struct {
	const char *name;
	enum summary_field field;
} kept_fields[] = {
	{ "Date", SUMMARY_DATE },
	{ "Subject", SUMMARY_SUBJECT },
	{ "From", SUMMARY_FROM },
	{ "Sender", SUMMARY_SENDER },
	{ "Reply-To", SUMMARY_REPLY_TO },
	{ "To", SUMMARY_TO },
	{ "Cc", SUMMARY_CC },
	{ "Bcc", SUMMARY_BCC },
	{ "In-Reply-To", SUMMARY_IN_REPLY_TO },
	{ "Message-ID", SUMMARY_MESSAGE_ID },
	{ "References", SUMMARY_REFERENCES },
};

/* ---- the tree ---- */

static int new_node(struct search *q, enum node_kind kind, struct search_node **node)
{
	unsigned block = q->n_nodes / SEARCH_BLOCK_NODES;

	if (q->n_nodes == SEARCH_NODES)
		return E_LIMIT;
	if (!q->block[block]) {
		q->block[block] = pool_get(&q->owner->blocks);
		if (!q->block[block])
			return E_NOMEM;
	}
	*node = search_node(q, q->n_nodes++);
	**node = (struct search_node){ .kind = (uint8_t)kind, .next = SEARCH_NONE, .parent = SEARCH_NONE };
	return OK;
}

/* A key was completed: an OR that has two of them is complete as well. */
static void close_ors(struct search *q)
{
	for (;;) {
		const struct search_node *n = search_node(q, q->open);

		if (n->kind != NODE_OR || n->u.list.count < 2)
			return;
		q->open = n->parent;
	}
}

/* Adds a node where the next key belongs. */
static int add(struct search *q, enum node_kind kind, bool negated, struct search_node **node)
{
	struct search_node *parent;
	uint16_t at = q->n_nodes;
	int rc;

	if (q->ready)
		return E_SYNTAX;
	rc = new_node(q, kind, node);
	if (rc != OK)
		return rc;
	parent = search_node(q, q->open);
	(*node)->negated = negated != q->negate;
	(*node)->parent = q->open;
	q->negate = false;
	if (parent->u.list.count++ == 0)
		parent->u.list.first = at;
	else
		search_node(q, parent->u.list.last)->next = at;
	parent->u.list.last = at;
	if (kind <= NODE_OR) {
		(*node)->u.list.first = SEARCH_NONE;
		q->open = at;
	}
	return OK;
}

static int add_leaf(struct search *q, enum node_kind kind, bool negated, struct search_node **node)
{
	int rc = add(q, kind, negated, node);

	if (rc == OK)
		close_ors(q);
	return rc;
}

static int add_bits(struct search *q, enum node_kind kind, uint64_t mask, bool negated)
{
	struct search_node *n;
	int rc = add_leaf(q, kind, negated, &n);

	if (rc == OK)
		n->u.bits.mask = n->u.bits.value = mask;
	return rc;
}

static int add_range(struct search *q, enum node_kind kind, int64_t low, int64_t high)
{
	struct search_node *n;
	int rc = add_leaf(q, kind, false, &n);

	if (rc == OK) {
		n->u.range.low = low;
		n->u.range.high = high;
	}
	return rc;
}

static int check_string(struct search *q, struct bytes text)
{
	struct matcher *m = &q->owner->matcher[0];

	m->serial = 0;
	return textmatch_compile(&m->match, text);
}

static int add_string(struct search *q, enum node_kind kind, enum summary_field field, struct bytes text)
{
	struct search_node *n;
	int rc = check_string(q, text);

	if (rc == OK)
		rc = add_leaf(q, kind, false, &n);
	if (rc != OK)
		return rc;
	n->field = (uint8_t)field;
	n->u.text.data = text.data;
	n->u.text.len = (uint32_t)text.len;
	return OK;
}

/* ---- keys ---- */

int search_key(struct search *q, enum search_key key)
{
	struct search_node *n;
	int rc;

	switch (key) {
	case SEARCH_ALL:
	case SEARCH_SAVEDATESUPPORTED:
		return add_leaf(q, NODE_ALWAYS, false, &n);
	case SEARCH_RECENT:
		return add_leaf(q, NODE_RECENT, false, &n);
	case SEARCH_OLD:
		return add_leaf(q, NODE_RECENT, true, &n);
	case SEARCH_NEW: /* (RECENT UNSEEN) */
		rc = search_list(q);
		if (rc == OK)
			rc = search_key(q, SEARCH_RECENT);
		if (rc == OK)
			rc = search_key(q, SEARCH_UNSEEN);
		return rc == OK ? search_list_end(q) : rc;
	default:
		if (key >= sizeof flag_keys / sizeof flag_keys[0] || flag_keys[key].flags == 0)
			return E_SYNTAX;
		return add_bits(q, NODE_FLAGS, flag_keys[key].flags, flag_keys[key].negated);
	}
}

/* A keyword that the mailbox does not have is on no message. */
static int add_keyword(struct search *q, struct bytes name, bool negated)
{
	struct search_node *n;
	unsigned bit;
	int rc = store_keyword(q->owner->st, q->view->mailbox, name, false, &bit);

	if (rc == E_NOENT || rc == E_LIMIT)
		return add_leaf(q, NODE_ALWAYS, !negated, &n);
	return rc == OK ? add_bits(q, NODE_KEYWORDS, (uint64_t)1 << bit, negated) : rc;
}

int search_text(struct search *q, enum search_key key, struct bytes text)
{
	switch (key) {
	case SEARCH_BCC:
		return add_string(q, NODE_FIELD, SUMMARY_BCC, text);
	case SEARCH_CC:
		return add_string(q, NODE_FIELD, SUMMARY_CC, text);
	case SEARCH_FROM:
		return add_string(q, NODE_FIELD, SUMMARY_FROM, text);
	case SEARCH_SUBJECT:
		return add_string(q, NODE_FIELD, SUMMARY_SUBJECT, text);
	case SEARCH_TO:
		return add_string(q, NODE_FIELD, SUMMARY_TO, text);
	case SEARCH_BODY:
		return add_string(q, NODE_BODY, 0, text);
	case SEARCH_TEXT:
		return add_string(q, NODE_TEXT, 0, text);
	case SEARCH_KEYWORD:
		return add_keyword(q, text, false);
	case SEARCH_UNKEYWORD:
		return add_keyword(q, text, true);
	default:
		return E_SYNTAX;
	}
}

int search_header(struct search *q, struct bytes field, struct bytes text)
{
	struct search_node *n;
	int rc;

	for (size_t i = 0; i < sizeof kept_fields / sizeof kept_fields[0]; i++)
		if (bytes_is(field, kept_fields[i].name))
			return add_string(q, NODE_FIELD, kept_fields[i].field, text);
	if (field.len == 0)
		return E_SYNTAX;
	rc = check_string(q, text);
	if (rc == OK)
		rc = add(q, NODE_HEADER, false, &n);
	if (rc != OK)
		return rc;
	n->u.text.data = field.data;
	n->u.text.len = (uint32_t)field.len;
	rc = new_node(q, NODE_ARGUMENT, &n);
	if (rc != OK)
		return rc;
	n->u.text.data = text.data;
	n->u.text.len = (uint32_t)text.len;
	close_ors(q);
	return OK;
}

int search_day(struct search *q, enum search_key key, int64_t day)
{
	switch (key) {
	case SEARCH_BEFORE:
		return add_range(q, NODE_RECEIVED, INT64_MIN, day - 1);
	case SEARCH_ON:
		return add_range(q, NODE_RECEIVED, day, day);
	case SEARCH_SINCE:
		return add_range(q, NODE_RECEIVED, day, INT64_MAX);
	case SEARCH_SENTBEFORE:
		return add_range(q, NODE_SENT, INT64_MIN, day - 1);
	case SEARCH_SENTON:
		return add_range(q, NODE_SENT, day, day);
	case SEARCH_SENTSINCE:
		return add_range(q, NODE_SENT, day, INT64_MAX);
	case SEARCH_SAVEDBEFORE:
		return add_range(q, NODE_SAVED, INT64_MIN, day - 1);
	case SEARCH_SAVEDON:
		return add_range(q, NODE_SAVED, day, day);
	case SEARCH_SAVEDSINCE:
		return add_range(q, NODE_SAVED, day, INT64_MAX);
	default:
		return E_SYNTAX;
	}
}

int search_number(struct search *q, enum search_key key, uint64_t value)
{
	/* Sizes, ages and MODSEQ (RFC 7162: 63 bits) are below it. */
	int64_t n = value < INT64_MAX ? (int64_t)value : INT64_MAX;

	switch (key) {
	case SEARCH_LARGER:
		return add_range(q, NODE_SIZE, n < INT64_MAX ? n + 1 : n, INT64_MAX);
	case SEARCH_SMALLER:
		return add_range(q, NODE_SIZE, 0, n - 1);
	case SEARCH_YOUNGER:
	case SEARCH_OLDER:
		if (n == 0)
			return E_RANGE;
		if (n > UINT32_MAX)
			n = UINT32_MAX;
		if (key == SEARCH_YOUNGER)
			return add_range(q, NODE_TIME, q->now - n, INT64_MAX);
		return add_range(q, NODE_TIME, INT64_MIN, q->now - n);
	case SEARCH_MODSEQ:
		q->has_modseq = true;
		return add_range(q, NODE_MODSEQ, n, INT64_MAX);
	case SEARCH_EMAILID:
		/* Other than the rest, a name: all of its bits count. 0 is no object's. */
		return add_range(q, NODE_OBJECT, (int64_t)value, (int64_t)value);
	case SEARCH_THREADID:
		return add_range(q, NODE_SIZE, 1, 0);
	default:
		return E_SYNTAX;
	}
}

int search_set(struct search *q, struct view_set set)
{
	struct search_node *n;
	int rc = add_leaf(q, NODE_SET, false, &n);

	if (rc != OK)
		return rc;
	n->field = set.uids;
	n->u.text.data = set.text.data;
	n->u.text.len = (uint32_t)set.text.len;
	return OK;
}

/* ---- operators ---- */

int search_not(struct search *q)
{
	q->negate = !q->negate;
	return q->ready ? E_SYNTAX : OK;
}

int search_or(struct search *q)
{
	struct search_node *n;

	return add(q, NODE_OR, false, &n);
}

int search_list(struct search *q)
{
	struct search_node *n;

	return add(q, NODE_AND, false, &n);
}

int search_list_end(struct search *q)
{
	const struct search_node *n = search_node(q, q->open);

	if (q->ready || q->open == 0 || q->negate || n->kind != NODE_AND || n->u.list.count == 0)
		return E_SYNTAX;
	q->open = n->parent;
	close_ors(q);
	return OK;
}

/* ---- ready ---- */

/* From free to dear: the entry alone, a set's text, the summary, the header,
 * the body. */
#define COSTS 5

static unsigned cost_of(const struct search *q, const struct search_node *n)
{
	/* A list costs what its last child costs, because these are sorted already. */
	while (n->kind <= NODE_OR)
		n = search_node(q, n->u.list.last);
	if (n->kind < NODE_SET)
		return 0;
	if (n->kind == NODE_SET)
		return 1;
	if (n->kind <= NODE_FIELD)
		return 2;
	return n->kind == NODE_HEADER ? 3 : 4;
}

static void sort_children(struct search *q, struct search_node *list)
{
	uint16_t first[COSTS], last[COSTS], i = list->u.list.first, *link = &list->u.list.first;

	for (unsigned c = 0; c < COSTS; c++)
		first[c] = last[c] = SEARCH_NONE;
	while (i != SEARCH_NONE) {
		struct search_node *n = search_node(q, i);
		unsigned c = cost_of(q, n);

		if (first[c] == SEARCH_NONE)
			first[c] = i;
		else
			search_node(q, last[c])->next = i;
		last[c] = i;
		i = n->next;
		n->next = SEARCH_NONE;
	}
	for (unsigned c = 0; c < COSTS; c++) {
		if (first[c] == SEARCH_NONE)
			continue;
		*link = first[c];
		link = &search_node(q, last[c])->next;
		list->u.list.last = last[c];
	}
	list->u.list.entry = search_entry(q, list->u.list.first);
}

static void set_jumps(struct search *q, const struct search_node *list)
{
	for (uint16_t i = list->u.list.first; i != SEARCH_NONE;) {
		struct search_node *n = search_node(q, i);
		uint16_t following = n->next == SEARCH_NONE ? SEARCH_NONE : search_entry(q, n->next);
		uint16_t yes = list->yes, no = list->no;

		if (following != SEARCH_NONE && list->kind == NODE_AND)
			yes = following;
		else if (following != SEARCH_NONE)
			no = following;
		n->yes = n->negated ? no : yes;
		n->no = n->negated ? yes : no;
		i = n->next;
	}
}

int search_ready(struct search *q)
{
	struct search_node *root = search_node(q, 0);

	if (q->ready || q->open != 0 || q->negate || root->u.list.count == 0)
		return E_SYNTAX;
	root->yes = SEARCH_MATCH;
	root->no = SEARCH_FAIL;
	for (unsigned i = q->n_nodes; i-- > 0;)
		if (search_node(q, i)->kind <= NODE_OR)
			sort_children(q, search_node(q, i));
	for (unsigned i = 0; i < q->n_nodes; i++)
		if (search_node(q, i)->kind <= NODE_OR)
			set_jumps(q, search_node(q, i));
	q->ready = true;
	return OK;
}

bool search_has_modseq(const struct search *q)
{
	return q->has_modseq;
}
