mod alarms;
mod budget;
mod false_pages;
mod latencies;
mod releases;
