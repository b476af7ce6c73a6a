/* Dates as text. The reader of RFC 5322 dates takes words one by one and sorts
 * them by what they look like, because real mail has them in any order. */
#include "mail/date.h"

#include <string.h>

#include "base/err.h"
#include "base/text.h"

#define DAY_SECONDS 86400

/* Words of a Date field that are looked at; "Sat Jan 01 2000 10:00:00 GMT
 * +0100" has seven. */
#define WORDS_MAX 12

static const char month_names[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
static const char day_names[] = "SunMonTueWedThuFriSat";

int64_t date_days(int year, int month, int day)
{
	/* Years start in March, so that the leap day is a year's last. */
	int64_t y = year - (month <= 2);
	int64_t era = (y >= 0 ? y : y - 399) / 400;
	int64_t of_era = y - era * 400;
	int64_t of_year = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1;

	return era * 146097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719468;
}

void date_civil(int64_t days, int *year, int *month, int *day)
{
	int64_t z = days + 719468;
	int64_t era = (z >= 0 ? z : z - 146096) / 146097;
	int64_t of_era = z - era * 146097;
	int64_t y = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
	int64_t of_year = of_era - (365 * y + y / 4 - y / 100);
	int64_t m = (5 * of_year + 2) / 153;

	*day = (int)(of_year - (153 * m + 2) / 5 + 1);
	*month = (int)(m < 10 ? m + 3 : m - 9);
	*year = (int)(y + era * 400 + (*month <= 2));
}

static int64_t floor_days(int64_t seconds)
{
	return (seconds >= 0 ? seconds : seconds - (DAY_SECONDS - 1)) / DAY_SECONDS;
}

int64_t date_day(struct date d)
{
	return floor_days(d.seconds + (int64_t)d.zone * 60);
}

/* Index of the name that starts with the first three letters of `word`, or -1. */
static int name_index(struct bytes word, const char *names, int n)
{
	if (word.len < 3)
		return -1;
	for (int i = 0; i < n; i++)
		if (bytes_equal_nocase(bytes_part(word, 0, 3), bytes_make(names + i * 3, 3)))
			return i;
	return -1;
}

static bool all_digits(struct bytes b)
{
	for (size_t i = 0; i < b.len; i++)
		if (!text_is(b.data[i], TEXT_DIGIT))
			return false;
	return b.len > 0;
}

static int small_number(struct bytes b)
{
	uint64_t n = 0;

	return text_number(b, 9999, &n) == OK ? (int)n : -1;
}

/* What has been found of a date; -1 is "not yet". */
struct parts {
	int year, month, day;
	int hour, minute, second;
	int zone;
	bool has_zone;
};

static int parts_take(const struct parts *p, struct date *d)
{
	int year, month, day;
	int64_t days;

	if (p->year < 1 || p->year > 9999 || p->month < 1 || p->month > 12 || p->day < 1 || p->day > 31)
		return E_SYNTAX;
	if (p->hour > 23 || p->minute > 59 || p->second > 60)
		return E_SYNTAX;
	days = date_days(p->year, p->month, p->day);
	date_civil(days, &year, &month, &day);
	if (day != p->day) /* 31 April and its like */
		return E_SYNTAX;
	d->zone = p->zone;
	d->seconds = days * DAY_SECONDS + p->hour * 3600 + p->minute * 60 + p->second - (int64_t)p->zone * 60;
	return OK;
}

/* "hh:mm", "hh:mm:ss", "hh.mm", with anything behind the seconds ignored. */
static bool take_time(struct bytes word, struct parts *p)
{
	int *field[] = { &p->hour, &p->minute, &p->second };
	int value[3] = { 0, 0, 0 };
	size_t at = 0;

	for (int i = 0; i < 3; i++) {
		size_t start = at;

		while (at < word.len && text_is(word.data[at], TEXT_DIGIT))
			at++;
		if (at == start || at - start > 2)
			return false;
		value[i] = small_number(bytes_part(word, start, at - start));
		if (at == word.len && i > 0)
			break;
		if (at == word.len || (word.data[at] != ':' && word.data[at] != '.')) {
			if (i < 2)
				return false;
			break;
		}
		at++;
	}
	for (int i = 0; i < 3; i++)
		*field[i] = value[i];
	return true;
}

/* "+hhmm", "+hh:mm", "+hh" and the same with "-". */
static bool take_offset(struct bytes word, struct parts *p)
{
	int digits[4] = { 0, 0, 0, 0 };
	size_t n = 0;
	int minutes;

	if (word.len < 3 || (word.data[0] != '+' && word.data[0] != '-'))
		return false;
	for (size_t i = 1; i < word.len; i++) {
		if (word.data[i] == ':' && n == 2)
			continue;
		if (!text_is(word.data[i], TEXT_DIGIT) || n == 4)
			return false;
		digits[n++] = word.data[i] - '0';
	}
	if (n != 2 && n != 4)
		return false;
	minutes = (digits[0] * 10 + digits[1]) * 60 + digits[2] * 10 + digits[3];
	if (digits[2] > 5 || minutes >= 24 * 60)
		minutes = 0; /* nonsense counts as unknown, RFC 5322 section 4.3 */
	p->zone = word.data[0] == '-' ? -minutes : minutes;
	p->has_zone = true;
	return true;
}

/* The zone names of RFC 5322 section 4.3. All others, the military letters
 * too, count as UTC; "GMT+0100" is its offset. */
static void take_zone_name(struct bytes word, struct parts *p)
{
	static const struct {
		char name[4];
		int hours;
	} zones[] = {
		{ "EST", -5 }, { "EDT", -4 }, { "CST", -6 }, { "CDT", -5 },
		{ "MST", -7 }, { "MDT", -6 }, { "PST", -8 }, { "PDT", -7 },
	};

	if (p->has_zone)
		return;
	for (size_t i = 0; i < sizeof zones / sizeof zones[0]; i++) {
		if (bytes_is(word, zones[i].name)) {
			p->zone = zones[i].hours * 60;
			p->has_zone = true;
			return;
		}
	}
	for (size_t i = 1; i < word.len; i++)
		if (take_offset(bytes_part(word, i, word.len), p))
			return;
}

/* RFC 5322 section 4.3: 00-49 is 2000-2049, 50-99 and three digits add 1900. */
static int year_of(struct bytes digits)
{
	int n = small_number(digits);

	if (digits.len == 2)
		return n < 50 ? n + 2000 : n + 1900;
	if (digits.len == 3)
		return n + 1900;
	return digits.len == 4 && n >= 1900 ? n : -1;
}

/* "1-Jan-2001", "2001-01-31" and the same with slashes; day and month in
 * numbers only behind a year of four digits, else nobody knows which is which. */
static bool take_joined(struct bytes word, struct parts *p)
{
	struct bytes piece[3];
	size_t at = 0;

	for (int i = 0; i < 3; i++) {
		size_t end = at;

		while (end < word.len && word.data[end] != '-' && word.data[end] != '/')
			end++;
		piece[i] = bytes_part(word, at, end - at);
		if (piece[i].len == 0 || (i < 2) == (end == word.len))
			return false;
		at = end + 1;
	}
	if (piece[0].len == 4 && all_digits(piece[0]) && all_digits(piece[1])) {
		struct bytes rest = piece[2];

		p->year = small_number(piece[0]);
		p->month = small_number(piece[1]);
		p->day = small_number(bytes_part(rest, 0, 2));
		if (rest.len > 3 && text_lower(rest.data[2]) == 't')
			(void)take_time(bytes_part(rest, 3, rest.len), p);
		return p->day > 0;
	}
	if (!all_digits(piece[0]) || !all_digits(piece[2]))
		return false;
	p->day = small_number(piece[0]);
	p->month = name_index(piece[1], month_names, 12) + 1;
	p->year = year_of(piece[2]);
	return p->month > 0;
}

/* Sorts one word in; false when the text can't be a date. */
static bool take_word(struct bytes word, struct parts *p)
{
	if (text_is(word.data[0], TEXT_ALPHA)) {
		int month = name_index(word, month_names, 12);

		if (month >= 0 && p->month < 0)
			p->month = month + 1;
		else if (p->hour >= 0)
			take_zone_name(word, p);
		else if (name_index(word, day_names, 7) < 0)
			return false;
		return true;
	}
	if (word.data[0] == '+' || word.data[0] == '-') {
		if (p->hour >= 0 && !p->has_zone)
			(void)take_offset(word, p);
		return p->hour >= 0;
	}
	if (!text_is(word.data[0], TEXT_DIGIT))
		return p->hour >= 0;
	if (all_digits(word)) {
		if (p->day < 0 && word.len <= 2)
			p->day = small_number(word);
		else if (p->year < 0)
			p->year = year_of(word);
		return p->day >= 0 || p->year >= 0;
	}
	if (p->hour < 0 && take_time(word, p))
		return true;
	return p->day >= 0 || take_joined(word, p);
}

/* Cuts the next word off: blanks, commas and comments stand between words, and
 * blanks around the colons of a time do not. */
static struct bytes next_word(struct bytes *rest)
{
	struct bytes b = *rest;
	size_t n = 0;
	int depth = 0;

	while (b.len) {
		if (b.data[0] == '(')
			depth++;
		else if (b.data[0] == ')' && depth)
			depth--;
		else if (depth == 0 && b.data[0] != ' ' && b.data[0] != ',' && b.data[0] != ')' &&
			!text_is(b.data[0], TEXT_SPACE | TEXT_CTL))
			break;
		b = bytes_part(b, 1, b.len);
	}
	while (n < b.len && b.data[n] != '(' && b.data[n] != ',' && !text_is(b.data[n], TEXT_SPACE | TEXT_CTL))
		n++;
	*rest = bytes_part(b, n, b.len);
	return bytes_part(b, 0, n);
}

int date_parse(struct bytes value, struct date *d)
{
	struct parts p = { -1, -1, -1, -1, 0, 0, 0, false };

	for (int i = 0; i < WORDS_MAX; i++) {
		char time[16];
		struct bytes word = next_word(&value);
		size_t len = word.len;

		if (len == 0)
			break;
		/* "10 : 30 : 00" of RFC 822 */
		if (p.hour < 0 && p.day >= 0 && p.year >= 0 && len <= 2 && all_digits(word)) {
			memcpy(time, word.data, len);
			for (struct bytes more = value; len < 8; value = more) {
				word = next_word(&more);
				if (word.len == 0 || word.len > 5 || len + word.len > sizeof time)
					break;
				if (word.data[0] != ':' && time[len - 1] != ':')
					break;
				memcpy(time + len, word.data, word.len);
				len += word.len;
			}
			word = bytes_make(time, len);
		}
		if (!take_word(word, &p))
			return E_SYNTAX;
	}
	if (p.hour < 0)
		p.hour = 0;
	return parts_take(&p, d);
}

static int digits_at(struct bytes text, size_t at, size_t n)
{
	struct bytes b = bytes_part(text, at, n);

	return b.len == n && all_digits(b) ? small_number(b) : -1;
}

/* "d-Mon-yyyy" with one or two digits or a blank and a digit. */
static int parse_imap_date(struct bytes text, size_t *len, struct parts *p)
{
	size_t n = text.len > 1 && text.data[1] == '-' ? 1 : 2;

	if (text.len < n + 9 || text.data[n] != '-' || text.data[n + 4] != '-')
		return E_SYNTAX;
	p->day = text.data[0] == ' ' && n == 2 ? digits_at(text, 1, 1) : digits_at(text, 0, n);
	p->month = name_index(bytes_part(text, n + 1, 3), month_names, 12) + 1;
	p->year = digits_at(text, n + 5, 4);
	*len = n + 9;
	return OK;
}

int date_parse_imap_time(struct bytes text, struct date *d)
{
	struct parts p = { 0 };
	struct bytes rest;
	size_t len;

	if (parse_imap_date(text, &len, &p) != OK)
		return E_SYNTAX;
	rest = bytes_part(text, len, text.len);
	if (rest.len != 15 || rest.data[0] != ' ' || rest.data[3] != ':' || rest.data[6] != ':' || rest.data[9] != ' ')
		return E_SYNTAX;
	p.hour = digits_at(rest, 1, 2);
	p.minute = digits_at(rest, 4, 2);
	p.second = digits_at(rest, 7, 2);
	if (p.hour < 0 || p.minute < 0 || p.second < 0 || digits_at(rest, 11, 4) < 0)
		return E_SYNTAX;
	if (!take_offset(bytes_part(rest, 10, 5), &p))
		return E_SYNTAX;
	return parts_take(&p, d);
}

int date_parse_imap_day(struct bytes text, int64_t *day)
{
	struct parts p = { 0 };
	struct date d;
	size_t len;

	if (parse_imap_date(text, &len, &p) != OK || len != text.len || parts_take(&p, &d) != OK)
		return E_SYNTAX;
	*day = date_days(p.year, p.month, p.day);
	return OK;
}

/* A time in its zone as numbers; the year is kept within four digits. */
static void split(struct date d, struct parts *p, int *week_day)
{
	int64_t least = date_days(1, 1, 1) * DAY_SECONDS, most = date_days(10000, 1, 1) * DAY_SECONDS - 1;
	int64_t shift = (int64_t)d.zone * 60, local, days;
	int left;

	local = d.seconds < least - shift ? least : d.seconds > most - shift ? most : d.seconds + shift;
	days = floor_days(local);
	left = (int)(local - days * DAY_SECONDS);
	date_civil(days, &p->year, &p->month, &p->day);
	p->hour = left / 3600;
	p->minute = left / 60 % 60;
	p->second = left % 60;
	*week_day = (int)(((days + 4) % 7 + 7) % 7);
}

static bool put_zone(struct buf *out, int zone)
{
	int minutes = zone < 0 ? -zone : zone;

	return buf_printf(out, "%c%02d%02d", zone < 0 ? '-' : '+', minutes / 60 % 100, minutes % 60);
}

bool date_put(struct buf *out, struct date d)
{
	size_t start = out->len;
	struct parts p;
	int week_day;

	split(d, &p, &week_day);
	if (buf_printf(out, "%.3s, %02d %.3s %04d %02d:%02d:%02d ", day_names + week_day * 3, p.day,
		    month_names + (p.month - 1) * 3, p.year, p.hour, p.minute, p.second) &&
		put_zone(out, d.zone))
		return true;
	out->len = start;
	return false;
}

static void put_two(uint8_t *at, int n)
{
	at[0] = (uint8_t)('0' + n / 10 % 10);
	at[1] = (uint8_t)('0' + n % 10);
}

bool date_put_imap_time(struct buf *out, struct date d)
{
	/* Without buf_printf: a first sync writes one of these a message. */
	uint8_t text[26];
	int week_day, minutes = d.zone < 0 ? -d.zone : d.zone;
	struct parts p;

	split(d, &p, &week_day);
	put_two(text, p.day);
	text[2] = text[6] = '-';
	memcpy(text + 3, month_names + (p.month - 1) * 3, 3);
	put_two(text + 7, p.year / 100);
	put_two(text + 9, p.year % 100);
	text[11] = text[20] = ' ';
	text[14] = text[17] = ':';
	put_two(text + 12, p.hour);
	put_two(text + 15, p.minute);
	put_two(text + 18, p.second);
	text[21] = d.zone < 0 ? '-' : '+';
	put_two(text + 22, minutes / 60);
	put_two(text + 24, minutes % 60);
	return buf_put(out, text, sizeof text);
}
