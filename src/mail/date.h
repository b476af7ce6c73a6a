/* Dates as text: RFC 5322 section 3.3 with section 4.3 and sloppy forms, and
 * those of IMAP (RFC 3501 section 9). Times are seconds since 1970 UTC, zones
 * minutes east of UTC (-720..+840 and a little), days are counted from
 * 1970-01-01. The calendar is the proleptic Gregorian one, years 1..9999. */
#ifndef MAIL_DATE_H
#define MAIL_DATE_H

#include "base/bytes.h"

struct date {
	int64_t seconds; /* UTC */
	int zone;        /* minutes east */
};

/* Days since 1970-01-01 of a date; month 1-12, day 1-31. */
int64_t date_days(int year, int month, int day);
/* The other way round. */
void date_civil(int64_t days, int *year, int *month, int *day);
/* The day it is at that time in its own zone: what SENTON and ON compare. */
int64_t date_day(struct date d);

/* An unfolded Date field. Takes two- and three-digit years, missing seconds,
 * zone names, comments, a missing zone (UTC), names in any case. E_SYNTAX: not
 * a date; *d is left alone. */
int date_parse(struct bytes value, struct date *d);
/* Appends "Wed, 17 Jul 1996 02:44:25 -0700": 31 bytes, for header lines. */
bool date_put(struct buf *out, struct date d);

/* IMAP date-time without its quotes: "17-Jul-1996 02:44:25 -0700", the day
 * with a leading space or zero when below 10. E_SYNTAX. */
int date_parse_imap_time(struct bytes text, struct date *d);
/* Appends the 26 bytes of it. */
bool date_put_imap_time(struct buf *out, struct date d);
/* IMAP date without quotes, "1-Feb-1994": its day. E_SYNTAX. */
int date_parse_imap_day(struct bytes text, int64_t *day);

#endif
