"""What is printed for people: tables, trees and Markdown."""
