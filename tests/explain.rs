//! Pages of rules: golden ones of many kinds in every form, what no rule's text may do, and the numbers
//! on them counted in another way.

mod counts;
mod pages;
mod records;
